// Table of forge's invariants. Keys of its counts: "runs: …", "calls: …", "reverts: …".
const CALLS_MIN = 100_000;
const CAMPAIGN_MIN = 10_000;

export const title = "Invariants";
export const claim =
  "Forge's handlers play owners, proposers, challengers, thieves, reorgs of the queue and time in any order; after every call what " +
  "must always hold is asked.";

function byName(counts) {
  const table = new Map();
  for (const [key, count] of Object.entries(counts)) {
    const [column, name] = key.split(": ");
    table.set(name, { ...table.get(name), [column]: count });
  }
  return [...table].sort(([a], [b]) => a.localeCompare(b));
}

export function problems(entry) {
  const list = [];
  const rows = byName(entry.counts);
  if (entry.attempts < CALLS_MIN) list.push(`${entry.attempts} calls, wanted ${CALLS_MIN}`);
  for (const [name, { calls }] of rows) if (calls < CAMPAIGN_MIN) list.push(`${name}: ${calls} calls`);
  if (entry.rows.length < 6) list.push("a statement of the issue is missing");
  return list;
}

export function render(entry) {
  const number = (value) => value.toLocaleString("en-US");
  return [
    "| statement | checked by |",
    "| --- | --- |",
    ...entry.rows.map(({ statement, checks }) => `| ${statement} | ${checks} |`),
    "",
    "| campaign | sequences | calls | reverted |",
    "| --- | ---: | ---: | ---: |",
    ...byName(entry.counts).map(
      ([name, { runs, calls, reverts }]) => `| ${name} | ${number(runs)} | ${number(calls)} | ${number(reverts)} |`,
    ),
  ];
}
