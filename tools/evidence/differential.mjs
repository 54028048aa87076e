// Table of the differential run. Keys of its counts: "kind code" (0 = accepted), "outcome code", "state: …", "calls: …".
const CYCLES_MIN = 100_000;
const HITS_MIN = 100;
const ACCEPTED_SHARE_MIN = 0.4;
/** What the issue names beyond codes; how the stream reaches them: test/evidence/differential-stream.ts. */
export const STATES = [
  "negative equity",
  "rounded against the account",
  "on the expiry's day",
  "within the settlement's averaging window",
  "after expiry",
  "extreme price",
];

export const title = "Ledger and contracts agree";
export const claim =
  "Random cycles of all kinds, applied in TypeScript and executed by the compiled rule contracts in a real EVM with the state's " +
  "witnesses: the same verdict, rejection code and root. Every rule at one account is asked too.";

const sumWhere = (counts, accepts) =>
  Object.entries(counts).reduce((sum, [key, count]) => (accepts(key) ? sum + count : sum), 0);

/** Cycles by kind and code. */
function verdicts({ counts }) {
  return Object.entries(counts).flatMap(([key, count]) => {
    const match = /^(\w+) (\d+)$/.exec(key);
    return match === null || match[1] === "outcome" ? [] : [{ kind: match[1], code: Number(match[2]), count }];
  });
}

export function problems(entry, { RejectionCode, InboundOutcomeCode, CycleKind, rejectionName }) {
  const list = [];
  const all = verdicts(entry);
  const cycles = all.reduce((sum, { count }) => sum + count, 0);
  if (cycles < CYCLES_MIN) list.push(`${cycles} cycles, wanted ${CYCLES_MIN}`);
  const accepted = all.reduce((sum, { code, count }) => (code === 0 ? sum + count : sum), 0);
  if (accepted < ACCEPTED_SHARE_MIN * cycles) list.push(`${accepted} of ${cycles} accepted`);
  for (const kind of Object.keys(CycleKind)) {
    if (!all.some((one) => one.kind === kind && one.code === 0)) list.push(`no accepted ${kind}`);
  }
  const hits = (code) => all.reduce((sum, one) => (one.code === code ? sum + one.count : sum), 0);
  for (const code of Object.values(RejectionCode)) {
    if (hits(code) < HITS_MIN) list.push(`code ${code} ${rejectionName(code)}: ${hits(code)}, wanted ${HITS_MIN}`);
  }
  for (const code of Object.values(InboundOutcomeCode)) {
    const count = entry.counts[`outcome ${code}`] ?? 0;
    if (count === 0 && !NO_OUTCOME.has(rejectionName(code))) list.push(`outcome ${code} ${rejectionName(code)}: none`);
  }
  for (const state of STATES) {
    if ((entry.counts[`state: ${state}`] ?? 0) < HITS_MIN) list.push(`cycles with "${state}": too few`);
  }
  return list;
}

/** 2^20 instruments do not fit a stream (packages/ledger/test has it); three are no longer given. */
const NO_OUTCOME = new Set([
  "INSTRUMENTS_FULL",
  "FORCED_CLOSE_UNAVAILABLE",
  "FORCED_LIQUIDATION_UNAVAILABLE",
  "CREDIT_OUTSTANDING",
]);

export function render(entry, { CycleKind, RejectionCode, InboundOutcomeCode, rejectionName }) {
  const number = (value) => value.toLocaleString("en-US");
  const all = verdicts(entry);
  const of = (kind) => all.filter((one) => one.kind === kind).sort((a, b) => a.code - b.code);
  const total = (list) => list.reduce((sum, { count }) => sum + count, 0);
  const lines = ["| kind | cycles | accepted | refused, by code |", "| --- | ---: | ---: | --- |"];
  for (const kind of Object.keys(CycleKind)) {
    const list = of(kind);
    const refused = list.filter(({ code }) => code !== 0).map(({ code, count }) => `${code}: ${number(count)}`);
    const accepted = total(list.filter(({ code }) => code === 0));
    lines.push(`| ${kind} | ${number(total(list))} | ${number(accepted)} | ${refused.join(", ")} |`);
  }
  const cycles = total(all);
  const accepted = total(all.filter(({ code }) => code === 0));
  lines.push(`| all | ${number(cycles)} | ${number(accepted)} (${((100 * accepted) / cycles).toFixed(1)}%) | |`);
  lines.push("", "| code | | cycles |", "| ---: | --- | ---: |");
  for (const code of Object.values(RejectionCode)) {
    const hits = all.filter((one) => one.code === code);
    lines.push(`| ${code} | ${rejectionName(code)} | ${number(total(hits))} |`);
  }
  lines.push("", "| outcome of an inbound entry | | entries |", "| ---: | --- | ---: |");
  for (const code of Object.values(InboundOutcomeCode)) {
    lines.push(`| ${code} | ${rejectionName(code)} | ${number(entry.counts[`outcome ${code}`] ?? 0)} |`);
  }
  lines.push("", "| among the cycles | cycles |", "| --- | ---: |");
  for (const state of STATES) lines.push(`| ${state} | ${number(entry.counts[`state: ${state}`] ?? 0)} |`);
  const calls = sumWhere(entry.counts, (key) => key.startsWith("calls: "));
  const hostile = number(entry.counts["calls: hostile witness"] ?? 0);
  lines.push("", `Calls of contracts: ${number(calls)}, ${hostile} of them with a witness that is not the state's.`);
  return lines;
}
