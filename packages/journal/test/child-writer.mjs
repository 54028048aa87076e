// Writes a journal until it is killed, and prints every durable sequence. Arguments: directory, seed.
import { writeSync } from "node:fs";
import { openJournal } from "@tidemark/journal";
import { COMMANDS_PER_CYCLE, cycleOf, recordOf } from "./records.mjs";

const [directory, seed] = process.argv.slice(2);
const identity = { venueId: `venue-${seed}`, genesisRoot: `0x${"11".repeat(32)}` };
const journal = await openJournal(directory, { identity, unflushedBytesMax: 1 << 20 });
journal.onDurable((sequence) => writeSync(1, `${sequence}\n`));

let sequence = journal.lastSequence();
// Like a venue after its replay: cycles that exist are produced again and must be the same.
const cyclesBefore = journal.cycleCount();
for (let index = Math.max(0, cyclesBefore - 3); index < cyclesBefore; index++) journal.putCycle(cycleOf(seed, index));
let cycles = Math.max(cyclesBefore, Math.floor(sequence / COMMANDS_PER_CYCLE));
for (let index = cyclesBefore; index < cycles; index++) journal.putCycle(cycleOf(seed, index));
writeSync(1, "ready\n");

for (let turn = 1; ; turn++) {
  for (let i = 0; i < 1 + (turn % 40); i++) {
    sequence++;
    const flowing = journal.append(sequence, recordOf(seed, sequence));
    if (sequence % COMMANDS_PER_CYCLE === 0) journal.putCycle(cycleOf(seed, cycles++));
    if (!flowing) await journal.drained();
  }
  if (turn % 50 === 0) void journal.writeSnapshot(sequence, Buffer.alloc(3_000_000, recordOf(seed, sequence)));
  await new Promise((resolve) => setImmediate(resolve));
}
