// Draws the status: a dashboard that repaints itself on a terminal, one plain line a second elsewhere.
import { conservationGap, type VenueStatus } from "./status.ts";

export interface Display {
  show(status: VenueStatus): void;
  note(line: string): void;
  close(): void;
}

const ESC = "\u001b[";
const paint = (code: string, text: string): string => `${ESC}${code}m${text}${ESC}0m`;
const bold = (text: string): string => paint("1", text);
const dim = (text: string): string => paint("2", text);
const green = (text: string): string => paint("32", text);
const red = (text: string): string => paint("31", text);
const cyan = (text: string): string => paint("36", text);

const count = (value: number): string => Math.round(value).toLocaleString("en-US");

/** Micro-USDC as dollars with two decimals, truncated. */
export function usdc(micro: bigint): string {
  const sign = micro < 0n ? "-" : "";
  const absolute = micro < 0n ? -micro : micro;
  const cents = (absolute / 10_000n) % 100n;
  return `${sign}${(absolute / 1_000_000n).toLocaleString("en-US")}.${cents.toString().padStart(2, "0")}`;
}

/** 93_000 → "1m33s". */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1_000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, "0")}s`;
  return `${Math.floor(seconds / 3_600)}h${String(Math.floor((seconds % 3_600) / 60)).padStart(2, "0")}m`;
}

function bar(share: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width);
  return "█".repeat(filled) + "░".repeat(width - filled);
}

const visible = (text: string): number => text.replaceAll(/\u001b\[[0-9;]*m/g, "").length;
const left = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - visible(text)));
const right = (text: string, width: number): string => " ".repeat(Math.max(0, width - visible(text))) + text;

function headerLines(s: VenueStatus, width: number): string[] {
  const clock = new Date(s.venueTimeMs).toISOString().replace("T", " ").slice(0, 19);
  const head = `${bold(cyan("TIDEMARK"))}  ${s.phase}   ${dim("venue clock")} ${clock}Z ${dim(`×${s.speed}`)}`;
  const source = `${dim("input")} ${s.input}${s.synthetic ? dim(" (synthetic between snapshots)") : ""}  ${dim("seed")} ${s.seed}`;
  const lines = [head, source];
  if (s.wallSecondsTotal !== null) {
    const share = s.wallSeconds / s.wallSecondsTotal;
    lines.push(`${cyan(bar(share, Math.min(60, width - 20)))} ${s.wallSeconds.toFixed(0)}/${s.wallSecondsTotal} s`);
  }
  return lines;
}

function tierLines(s: VenueStatus): string[] {
  const rows = (["executed", "durable", "posted", "final"] as const).map((tier) => {
    const { fills, oldestWaitingMs } = s.tiers[tier];
    const share = s.fills === 0 ? 0 : fills / s.fills;
    const waits = oldestWaitingMs > 0 ? dim(`oldest waits ${duration(oldestWaitingMs)}`) : "";
    return `  ${left(tier, 10)} ${right(count(fills), 9)} ${green(bar(share, 24))} ${waits}`;
  });
  return [bold("fills by finality tier"), ...rows];
}

function batchLines(s: VenueStatus): string[] {
  const head = dim(
    `  ${right("batch", 6)} ${right("cycles", 7)} ${right("fills", 7)} ${right("bytes", 8)} ${right("gas", 10)}  window left`,
  );
  const rows = s.batches.slice(0, 6).map((b) => {
    const window =
      b.state === "final"
        ? green("final")
        : b.state === "posting"
          ? dim("posting")
          : duration(b.windowLeftSeconds * 1_000);
    return `  ${right(String(b.number), 6)} ${right(count(b.cycles), 7)} ${right(count(b.fills), 7)} ${right(count(b.bytes), 8)} ${right(count(b.gas), 10)}  ${window}`;
  });
  return [bold("last batches"), head, ...(rows.length > 0 ? rows : [dim("  none yet")])];
}

function moneyLines(s: VenueStatus): string[] {
  const gap = conservationGap(s.conservation);
  const balance = gap === 0n ? green("exact") : red(`off by ${usdc(gap)} USDC`);
  const { messages, settledDeltas, l1Bytes, l1Gas } = s.compression;
  const ratio = settledDeltas > 0 ? ` (${(messages / settledDeltas).toFixed(1)} : 1)` : "";
  const watcher =
    s.watcher.verdict === "agrees"
      ? green(
          `agrees: ${count(s.watcher.rootsEqual)}/${count(s.watcher.rootsCompared)} roots in ${s.watcher.batches} batches`,
        )
      : s.watcher.verdict === "fault" || s.watcher.verdict === "challenging"
        ? red(s.watcher.verdict === "fault" ? s.watcher.detail : `challenging: ${s.watcher.detail}`)
        : dim("waiting for the first batch");
  return [
    `${bold("compression")}  ${count(messages)} messages → ${count(settledDeltas)} settled deltas${ratio} → ${count(l1Bytes)} L1 bytes, ${count(l1Gas)} gas`,
    `${bold("vault")}        ${usdc(s.conservation.vault)} USDC   ${bold("liabilities")} ${usdc(s.liabilities)}   ${bold("bad debt")} ${usdc(s.badDebt)}   conservation ${balance}`,
    `${bold("watcher")}      ${watcher}`,
    `${bold("receipts")}     ${count(s.receipts.fills)} fills, ${count(s.receipts.cancels)} cancels signed in ${count(s.receipts.groups)} groups   ${bold("not posted")} ${usdc(BigInt(Math.round(s.admission.unpostedNotionalMicroUsdc)))} of ${usdc(BigInt(Math.round(s.admission.limitMicroUsdc)))} USDC that the stake covers${s.admission.admitting ? "" : red(" no new orders")}`,
  ];
}

/** The whole dashboard as lines; also used for the picture in the docs. */
export function dashboard(s: VenueStatus, width: number): string[] {
  const rates =
    `${bold("engine")}  ${count(s.engineMessagesPerSecond)} messages/s  ${count(s.fillsPerSecond)} fills/s   ${dim("total")} ${count(s.engineMessages)} messages, ${count(s.fills)} fills` +
    `   ${dim("quoted")} ${count(s.instrumentsQuoted)} instruments  ${dim("accounts")} ${count(s.accounts)}`;
  const counts = `${bold("events")}  ${count(s.fundingEvents)} funding  ${count(s.expiries)} expiries  ${count(s.liquidations)} liquidations  ${count(s.withdrawalsClaimed)} withdrawals claimed`;
  return [
    ...headerLines(s, width),
    "",
    rates,
    counts,
    "",
    ...tierLines(s),
    "",
    ...batchLines(s),
    "",
    ...moneyLines(s),
    "",
    ...s.news.slice(0, 5).map((line) => dim(`· ${line}`)),
  ];
}

function plainLine(s: VenueStatus): string {
  const gap = conservationGap(s.conservation);
  return (
    `${new Date(s.venueTimeMs).toISOString().slice(0, 19)}Z ${s.phase}: ${count(s.engineMessagesPerSecond)} msg/s ${count(s.fillsPerSecond)} fills/s | fills ` +
    `${s.tiers.executed.fills} executed ${s.tiers.durable.fills} durable ${s.tiers.posted.fills} posted ${s.tiers.final.fills} final | batches ${s.batches[0]?.number ?? 0} | ` +
    `vault ${usdc(s.conservation.vault)} liabilities ${usdc(s.liabilities)} conservation ${gap === 0n ? "exact" : `off by ${usdc(gap)}`} | ` +
    `watcher ${s.watcher.verdict} ${s.watcher.rootsEqual}/${s.watcher.rootsCompared}`
  );
}

/** Repaints in place on a terminal; plain lines, at most one a second of wall time, elsewhere. */
export function openDisplay(stream: NodeJS.WriteStream): Display {
  if (!stream.isTTY) {
    let lastMs = 0;
    return {
      show(status) {
        const now = Date.now();
        if (now - lastMs < 1_000) return;
        lastMs = now;
        stream.write(`${plainLine(status)}\n`);
      },
      note: (line) => void stream.write(`${line}\n`),
      close() {},
    };
  }
  let painted = false;
  const notes: string[] = [];
  return {
    show(status) {
      if (!painted) stream.write(`${ESC}?25l${ESC}2J`);
      painted = true;
      const lines = dashboard(status, stream.columns ?? 100).slice(0, (stream.rows ?? 40) - 1);
      stream.write(`${ESC}H${lines.map((line) => `${line}${ESC}K`).join("\n")}${ESC}J`);
    },
    note(line) {
      if (painted) notes.push(line);
      else stream.write(`${line}\n`);
    },
    close() {
      if (painted) stream.write(`${ESC}?25h\n`);
      for (const line of notes) stream.write(`${line}\n`);
    },
  };
}
