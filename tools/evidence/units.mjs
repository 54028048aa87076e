// The files that processes of an evidence run write: a line {"total": n} and a line a finished unit.
import { existsSync, readFileSync } from "node:fs";

/** Total and finished units of one process; a unit that was run twice counts once. */
export function readUnits(file) {
  const units = new Map();
  let total = 0;
  if (!existsSync(file)) return { total, units: [] };
  for (const text of readFileSync(file, "utf8").split("\n")) {
    let line;
    try {
      line = JSON.parse(text);
    } catch {
      // The last line of a process that was stopped.
      continue;
    }
    if (typeof line.total === "number") total = line.total;
    if (typeof line.unit === "string") units.set(line.unit, line);
  }
  return { total, units: [...units.values()] };
}

export function sumUnits(units) {
  const sum = { units: units.length, attempts: 0, failures: 0, seconds: 0, counts: {}, rows: [] };
  for (const unit of units) {
    sum.attempts += unit.attempts;
    sum.failures += unit.failures;
    sum.seconds += unit.seconds;
    for (const [key, count] of Object.entries(unit.counts)) sum.counts[key] = (sum.counts[key] ?? 0) + count;
    sum.rows.push(...unit.rows);
  }
  return sum;
}

const BAR_WIDTH = 30;

export function progressLine({ attempts, failures, total, seconds, rate }) {
  const share = total > 0 ? Math.min(1, attempts / total) : 0;
  const full = Math.round(share * BAR_WIDTH);
  const bar = `${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)}`;
  const left = rate > 0 && total > attempts ? `, ${durationOf((total - attempts) / rate)} left` : "";
  const counted = `${attempts.toLocaleString("en-US")} of ${total.toLocaleString("en-US")}`;
  const failed = failures > 0 ? `, ${failures} FAILED` : "";
  return `${bar} ${(100 * share).toFixed(0)}% ${counted}${failed}, ${durationOf(seconds)}${left}`;
}

export function durationOf(seconds) {
  const whole = Math.round(seconds);
  if (whole < 90) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
