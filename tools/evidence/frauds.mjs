// Table of the planted frauds: a row a rule, and the single bits.
const GAS_MAX = 12_000_000;
const BYTES_MAX = 112 * 1024;
/** What nodes take: of payloads that no limit of cycles allows but that a batch can hold. */

export const title = "Every planted fraud is proven";
export const claim =
  "One batch for every rule of every kind (the list is made from the rejection codes, kinds, header fields and errors of the batch " +
  "chain): refused when it is posted, or found by the real watcher and convicted by the real contracts on the embedded L1 in one " +
  "transaction of its own making. *Root*: what the proposer claimed after the wrong cycle, the root of its effects without the check " +
  "where the contracts can compute it, else any. Then every single bit of one cycle of each kind and form, of its root and of the calls that " +
  "post it in calldata and in a blob, and sampled bits of the blob.";

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

const ENTRY_TYPES = 10;
const BLOB_FRAUDS_MIN = 20;

/**
 * What the facts say must be there. The whole list is made by test/evidence/fraud-plan.ts; a run that lacks one of it fails, and
 * test/evidence/frauds.test.ts compares the kept table with the list of today.
 */
export function problems(entry, { RejectionCode, InboundOutcomeCode, CycleKind, rejectionName }) {
  const list = [];
  const rows = new Map(entry.rows.map((row) => [row.key, row]));
  const kinds = Object.keys(CycleKind);
  const has = (key) => rows.has(key);
  for (const kind of kinds) {
    if (!has(`root ${kind}`)) list.push(`no wrong root after a ${kind} cycle`);
    for (const code of [RejectionCode.MALFORMED, RejectionCode.TIME_NOT_MONOTONIC, RejectionCode.LIMIT_EXCEEDED]) {
      if (!has(`rule ${kind} ${code}`)) list.push(`${kind}: ${rejectionName(code)} is not planted`);
    }
    for (const form of ["payload", "root"]) {
      if (!entry.counts[`bits ${form} ${kind}: tried`]) list.push(`no bits of the ${form} of a ${kind} cycle`);
    }
  }
  for (const what of ["header and frame of the call", "header in the call of a blob", "blob"]) {
    if (!entry.counts[`bits ${what}: tried`]) list.push(`no bits of: ${what}`);
  }
  for (const code of Object.values(RejectionCode)) {
    if (!entry.rows.some((row) => row.area === "rule" && row.code === code)) {
      list.push(`${code} ${rejectionName(code)} is not planted`);
    }
  }
  for (const code of Object.values(InboundOutcomeCode)) {
    if (code !== InboundOutcomeCode.DONE && !has(`outcome ${code}`)) {
      list.push(`outcome ${code} ${rejectionName(code)} is not planted`);
    }
  }
  const countOf = (area) => entry.rows.filter((row) => row.area === area).length;
  if (countOf("entry") < ENTRY_TYPES) list.push(`${countOf("entry")} types of queue entries, wanted ${ENTRY_TYPES}`);
  if (countOf("blob") < BLOB_FRAUDS_MIN) list.push(`${countOf("blob")} frauds of blobs, wanted ${BLOB_FRAUDS_MIN}`);
  for (const row of entry.rows) {
    const { key, outcome, gas, bytes } = row;
    if (outcome === "convicted" && !(gas > 0 && bytes > 0)) list.push(`${key}: convicted without a transaction`);
    if (gas >= GAS_MAX) list.push(`${key}: ${gas} gas`);
    if (bytes > BYTES_MAX) list.push(`${key}: ${bytes} bytes`);
  }
  for (const what of [...bitsOf(entry.counts)].filter(
    ([, { tried, refused, convicted }]) => tried !== refused + convicted,
  )) {
    list.push(`bits of ${what[0]}: not all are refused or convicted`);
  }
  return list;
}

/** Elsewhere the root is not what is wrong, and any will do. */
const HAS_CLAIMED_ROOT = ["rule", "root", "entry", "outcome"];
const isImpossible = ({ outcome }) => outcome.startsWith("impossible: ");

export function render(entry) {
  const number = (value) => value.toLocaleString("en-US");
  const planted = entry.rows.filter((row) => !isImpossible(row));
  const convicted = planted.filter(({ outcome }) => outcome === "convicted").length;
  const most = (column) => number(Math.max(...planted.map((row) => row[column])));
  const refused = `${number(planted.length - convicted)} refused when they were posted`;
  const lines = [
    `${number(planted.length)} frauds: ${number(convicted)} convicted, ${refused}. The dearest: ${most("gas")} gas, ${most("bytes")} bytes.`,
    "",
    "| rule broken | kind | code | root | shown as | gas | bytes |",
    "| --- | --- | ---: | --- | --- | ---: | ---: |",
  ];
  const areas = ["rule", "root", "entry", "outcome", "payload", "queue", "time", "header", "blob", "posting"];
  const order = (row) => areas.indexOf(row.area) * 1e9 + (row.code ?? 0);
  const sorted = planted.sort(
    (a, b) => a.kind.localeCompare(b.kind) || order(a) - order(b) || a.what.localeCompare(b.what),
  );
  for (const row of sorted) {
    const shown = row.outcome === "convicted" ? row.face : row.outcome;
    const [gas, bytes] = row.outcome === "convicted" ? [number(row.gas), number(row.bytes)] : ["–", "–"];
    const code = row.code === 0 ? "" : row.code;
    lines.push(
      `| ${row.what} | ${row.kind} | ${code} | ${HAS_CLAIMED_ROOT.includes(row.area) ? row.root : ""} | ${shown} | ${gas} | ${bytes} |`,
    );
  }
  lines.push("", "| on the list, but nobody can do it | kind | code | why |", "| --- | --- | ---: | --- |");
  for (const { what, kind, code, outcome } of entry.rows.filter(isImpossible)) {
    lines.push(`| ${what} | ${kind} | ${code} | ${outcome.slice("impossible: ".length)} |`);
  }
  lines.push("", "| single bits of | tried | refused | convicted |", "| --- | ---: | ---: | ---: |");
  const table = [...bitsOf(entry.counts)].sort(([a], [b]) => a.localeCompare(b));
  for (const [what, { tried, refused: out, convicted }] of table) {
    lines.push(`| ${what} | ${number(tried)} | ${number(out)} | ${number(convicted)} |`);
  }
  return lines;
}
