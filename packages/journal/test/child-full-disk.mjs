// Appends until the system refuses to write, and prints what the journal said. Argument: directory.
import { openJournal } from "@tidemark/journal";

const identity = { venueId: "full", genesisRoot: `0x${"22".repeat(32)}` };
const journal = await openJournal(process.argv[2], { identity });
const codes = [];
journal.onFailure((error) => codes.push(error.code));
let sequence = 0;
let durable = 0;
try {
  for (;;) {
    for (let i = 0; i < 100; i++) journal.append(++sequence, Buffer.alloc(1000, sequence));
    durable = await journal.durable();
  }
} catch (error) {
  codes.push(error.code);
}
try {
  journal.append(sequence + 1, Buffer.alloc(1));
} catch (error) {
  codes.push(error.code);
}
await journal.durable().catch((error) => codes.push(error.code));
console.log(JSON.stringify({ durable, codes }));
process.exit(0);
