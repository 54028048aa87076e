// Table of the invariant run. Keys of its counts: "calls: <suite>", "runs: <suite>", "reached: <what>" (by the handler of the whole venue).
const CALLS_MIN = 20_000;
const REACHED_MIN = 100;
/** Contract of forge's test → what holds after every call. */
export const SUITES = {
  SystemInvariantTest:
    "the whole venue: the vault is what the ledger owes and covers whatever can be claimed; bonds, stakes and the pool's money are conserved; floors only " +
    "move up; every number becomes final once, stays, and follows its parent; nothing is claimed or paid twice; no right batch is convicted or " +
    "refused its proof, no fraud becomes final while the watcher is awake; no venue that meets its deadlines is frozen",
  FraudInvariantTest:
    "hostile proposers, wrong accusers, eager affirmers: nothing wrong is proven or final, no right batch is convicted, bonds are conserved",
  StakeInvariantTest:
    "stakes and insurance: deposits are stakes, withdrawals and slashes; nothing leaves before unbonding and while batches can be challenged; the active set " +
    "is consistent; requests never move the price of a share; a shortfall is paid once",
  EscapeInvariantTest:
    "winding up: everybody who is in time is paid the same share, nothing twice, never more than the vault",
  ForcedEntriesInvariantTest:
    "forced entries: a venue that consumes them in time is never frozen, one that does not always can be",
  SettlementInvariantTest: "queue, batches, claims and bonds under a policy whose floor wanders",
};
/** What hostile and honest parties did in the campaigns of the whole venue. */
export const REACHED = [
  "posts",
  "frauds",
  "refusedPosts",
  "convictions",
  "lateConvictions",
  "acquittals",
  "proven",
  "finals",
  "claims",
  "covers",
  "holds",
  "freezes",
  "anchors",
  "registrations",
  "payments",
];

export const title = "Invariants";
export const claim =
  "Random sequences of everything that anybody may do to the contracts, time, drops and adversaries included (forge). The invariants are " +
  "compared with a naive account after every call.";

export function problems(entry) {
  const list = [];
  for (const suite of Object.keys(SUITES)) {
    const calls = entry.counts[`calls: ${suite}`] ?? 0;
    if (calls < CALLS_MIN) list.push(`${suite}: ${calls} calls, wanted ${CALLS_MIN}`);
  }
  for (const what of REACHED) {
    const count = entry.counts[`reached: ${what}`] ?? 0;
    if (count < REACHED_MIN) list.push(`${what}: ${count}, wanted ${REACHED_MIN}`);
  }
  return list;
}

export function render(entry) {
  const number = (value) => value.toLocaleString("en-US");
  const lines = ["| suite | sequences | calls | what holds after each |", "| --- | ---: | ---: | --- |"];
  for (const [suite, holds] of Object.entries(SUITES)) {
    const [runs, calls] = ["runs", "calls"].map((what) => number(entry.counts[`${what}: ${suite}`] ?? 0));
    lines.push(`| ${suite.replace("InvariantTest", "")} | ${runs} | ${calls} | ${holds} |`);
  }
  lines.push("", "| in the sequences of the whole venue | times |", "| --- | ---: |");
  for (const what of REACHED) lines.push(`| ${wordsOf(what)} | ${number(entry.counts[`reached: ${what}`] ?? 0)} |`);
  return lines;
}

const wordsOf = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
