// Matrix of the reorg drills: depth and side of the finalised block against what was going on.
const DEPTHS = [1, 2, 7, 64];
const ACTIVITIES = ["deposits", "batches", "challenges", "withdrawals"];
const SIDES = ["above", "below"];

export const title = "Reorgs";
export const claim =
  "The embedded L1 replaces its last blocks by empty ones while something is on its way. *Above*: the finalised block stays, the ledger " +
  "is untouched and everything is done again. *Below*: it goes, and the reader of the queue stops for good. The slots per epoch put the " +
  "finalised block (two epochs behind the latest) on that side.";

export function problems(entry) {
  const keys = new Set(entry.rows.map(({ key }) => key));
  const list = [];
  for (const activity of ACTIVITIES) {
    for (const side of SIDES) {
      for (const depth of DEPTHS)
        if (!keys.has(`${activity} ${depth} ${side}`)) list.push(`no drill ${activity} ${depth} ${side}`);
    }
  }
  return list;
}

export function render(entry) {
  const lines = [`| depth | finalised block | slots per epoch | ${ACTIVITIES.join(" | ")} |`];
  lines.push(`| ---: | --- | ---: | ${ACTIVITIES.map(() => "---").join(" | ")} |`);
  for (const side of SIDES) {
    for (const depth of DEPTHS) {
      const rows = ACTIVITIES.map((activity) => entry.rows.find(({ key }) => key === `${activity} ${depth} ${side}`));
      const place = side === "above" ? "below the reorg" : "within the reorg";
      lines.push(`| ${depth} | ${place} | ${rows[0]?.slots} | ${rows.map((row) => row?.outcome).join(" | ")} |`);
    }
  }
  return lines;
}
