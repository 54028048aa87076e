// Table of the planted frauds: a row a rule, and the single bits.
const GAS_MAX = 12_000_000;
const BYTES_MAX = 112 * 1024;

export const title = "Every planted fraud is proven";
export const claim =
  "One batch for every rule of every kind (the list is made from the rejection codes, kinds, header fields and errors of the batch " +
  "chain): refused when it is posted, or found by the real watcher and convicted by the real contracts on the embedded L1 in one " +
  "transaction of its own making. *Root*: what the proposer claimed after the wrong cycle, the root of its effects without the check " +
  "where the contracts can compute it, else any. Then every single bit of one cycle of each kind, of its root and of the call that posts it.";

const BITS = /^bits (.*): (tried|refused|convicted)$/;

function bitsOf(counts) {
  const table = new Map();
  for (const [key, count] of Object.entries(counts)) {
    const match = BITS.exec(key);
    if (match === null) continue;
    const [, what, column] = match;
    table.set(what, { ...table.get(what), [column]: count });
  }
  return table;
}

/** Keys that the plan has, as test/evidence/fraud-plan.ts makes them; read from the run itself, which failed if one was missing. */
export function problems(entry, { RejectionCode, InboundOutcomeCode, CycleKind, rejectionName }) {
  const list = [];
  const rows = new Map(entry.rows.map((row) => [row.key, row]));
  const kinds = Object.keys(CycleKind);
  const has = (key) => rows.has(key) || (entry.notBreakable ?? []).some(([known]) => known === key);
  for (const kind of kinds) {
    if (!has(`root ${kind}`)) list.push(`no wrong root after a ${kind} cycle`);
    for (const code of [RejectionCode.MALFORMED, RejectionCode.TIME_NOT_MONOTONIC]) {
      if (!has(`rule ${kind} ${code}`)) list.push(`${kind}: ${rejectionName(code)} is not planted`);
    }
    for (const form of ["payload", "root"]) {
      if (!entry.counts[`bits ${form} ${kind}: tried`]) list.push(`no bits of the ${form} of a ${kind} cycle`);
    }
  }
  for (const code of Object.values(RejectionCode)) {
    if (!entry.rows.some((row) => row.area === "rule" && row.code === code)) {
      list.push(`${code} ${rejectionName(code)} is not planted`);
    }
  }
  const retired = new Set([
    "FORCED_CLOSE_UNAVAILABLE",
    "FORCED_LIQUIDATION_UNAVAILABLE",
    "CREDIT_OUTSTANDING",
    "INSTRUMENTS_FULL",
  ]);
  for (const code of Object.values(InboundOutcomeCode)) {
    if (!has(`outcome ${code}`) && !retired.has(rejectionName(code))) {
      list.push(`outcome ${code} ${rejectionName(code)} is not planted`);
    }
  }
  for (const { key, gas, bytes } of entry.rows) {
    if (gas >= GAS_MAX) list.push(`${key}: ${gas} gas`);
    if (bytes > BYTES_MAX) list.push(`${key}: ${bytes} bytes`);
  }
  return list;
}

export function render(entry) {
  const number = (value) => value.toLocaleString("en-US");
  const refused = entry.rows.filter(({ outcome }) => outcome !== "convicted").length;
  const lines = [
    `${number(entry.rows.length)} frauds: ${number(entry.rows.length - refused)} convicted, ${refused} refused when they were posted.`,
    "",
    "| rule broken | kind | code | root | shown as | gas | bytes |",
    "| --- | --- | ---: | --- | --- | ---: | ---: |",
  ];
  const areas = ["rule", "root", "outcome", "queue", "time", "header", "blob", "posting"];
  const order = (row) => areas.indexOf(row.area) * 1e9 + (row.code ?? 0);
  const sorted = [...entry.rows].sort((a, b) => a.kind.localeCompare(b.kind) || order(a) - order(b));
  for (const row of sorted) {
    const shown = row.outcome === "convicted" ? row.face : row.outcome;
    const [gas, bytes] = row.outcome === "convicted" ? [number(row.gas), number(row.bytes)] : ["–", "–"];
    const code = row.code === 0 ? "" : row.code;
    lines.push(`| ${row.what} | ${row.kind} | ${code} | ${row.root} | ${shown} | ${gas} | ${bytes} |`);
  }
  lines.push("", "| single bits of | tried | refused | convicted |", "| --- | ---: | ---: | ---: |");
  const table = [...bitsOf(entry.counts)].sort(([a], [b]) => a.localeCompare(b));
  for (const [what, { tried, refused: out, convicted }] of table) {
    lines.push(`| ${what} | ${number(tried)} | ${number(out)} | ${number(convicted)} |`);
  }
  return lines;
}
