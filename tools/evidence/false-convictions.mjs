// Table of the hostile challenges. Keys of its counts: "class: …", "kind: …", "refused: …", "control: …", "forge: …".
const ATTEMPTS_MIN = 100_000;
const CLASSES = [
  "starved of gas",
  "called back while paid",
  "nothing changed",
  "header changed",
  "neighbour's root changed",
  "blob: other data, the blob opened at their point",
  "blob: starved of gas",
  "blob element: the value and the modulus",
];

export const title = "Nothing convicts a right cycle";
export const claim =
  "Right batches of all kinds on the embedded L1, and a challenger that changes whatever it sends: witnesses of random, flipped, cut, " +
  "reordered, exchanged and left-out parts, wrong neighbours, accounts, headers and paths, openings of right blobs for other data, points and elements, gas from the least that a transaction needs to " +
  "the last unit before the answer, and calls back into the venue while another reward is paid. Every attempt is a call of the real " +
  "dispute contract. Control: the same batches with one wrong root, convicted by the same challenges.";

const part = (counts, prefix) =>
  Object.entries(counts)
    .filter(([key]) => key.startsWith(`${prefix}: `))
    .map(([key, count]) => [key.slice(prefix.length + 2), count])
    .sort(([a], [b]) => a.localeCompare(b));

export function problems(entry, { CycleKind }) {
  const list = [];
  if (entry.attempts < ATTEMPTS_MIN) list.push(`${entry.attempts} attempts, wanted ${ATTEMPTS_MIN}`);
  for (const kind of Object.keys(CycleKind)) {
    if (!entry.counts[`kind: ${kind}`]) list.push(`no attempt on a ${kind} cycle`);
  }
  for (const name of CLASSES) if (!entry.counts[`class: ${name}`]) list.push(`no attempt "${name}"`);
  if (part(entry.counts, "control").length === 0) list.push("no control");
  if (part(entry.counts, "forge").length === 0) list.push("no fuzz runs of forge");
  return list;
}

export function render(entry) {
  const number = (value) => value.toLocaleString("en-US");
  const table = (head, rows) => [
    `| ${head} | attempts |`,
    "| --- | ---: |",
    ...rows.map(([key, count]) => `| ${key} | ${number(count)} |`),
  ];
  // A class with a changed witness on top is the same class.
  const classes = new Map();
  for (const [key, count] of part(entry.counts, "class")) {
    const name = key.replace(", and the witness", "");
    classes.set(name, (classes.get(name) ?? 0) + count);
  }
  return [
    ...table("what was changed", [...classes]),
    "",
    ...table("cycle under attack", part(entry.counts, "kind")),
    "",
    ...table("why it was refused", part(entry.counts, "refused")),
    "",
    ...table("fuzz runs of forge (contracts/test/fuzz)", part(entry.counts, "forge")),
    "",
    ...part(entry.counts, "control").map(([key, count]) => `Control: ${key}, ${number(count)}.`),
  ];
}
