// What a rehearsal found, as lines for a person and as one object.
import type { EscapePayment, EscapeTable } from "@tidemark/settlement";

export interface RehearsalReport {
  forcedEntry: { index: number; type: string; account: number; queuedForTheRehearsal: boolean };
  anchor: { batchNumber: number; root: string };
  /** Instruments that accounts hold, and how many of them have a signed mark. */
  instrumentsHeld: number;
  marksSigned: number;
  poolPaidMicroUsdc: bigint;
  table: EscapeTable;
  /** Gas of the dearest registration of each kind. */
  gasMax: Record<string, number>;
  vaultLeftMicroUsdc: bigint;
  /** Whatever differs between the contract and the computation; empty for a good rehearsal. */
  problems: string[];
}

const MICRO = 1_000_000n;

function usdc(amount: bigint): string {
  const magnitude = amount < 0n ? -amount : amount;
  const whole = (magnitude / MICRO).toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return `${amount < 0n ? "-" : ""}${whole}.${(magnitude % MICRO).toString().padStart(6, "0")}`;
}

function nameOf({ kind, number }: EscapePayment): string {
  if (kind === "account" && number === 0) return "treasury";
  if (kind === "account" && number === 1) return "insurance";
  return `${kind} ${number}`;
}

/** Share that everybody who registered in time is paid, six digits after the point; for people, not for sums. */
export function factorText({ vaultMicroUsdc, registeredMicroUsdc }: EscapeTable): string {
  if (registeredMicroUsdc <= vaultMicroUsdc) return "1.000000";
  const millionths = (vaultMicroUsdc * MICRO) / registeredMicroUsdc;
  return `0.${millionths.toString().padStart(6, "0")}`;
}

export function reportLines(report: RehearsalReport): string[] {
  const { table, anchor, forcedEntry } = report;
  const rows = table.payments.map((one) => [
    nameOf(one),
    one.beneficiary,
    usdc(one.amountMicroUsdc),
    usdc(one.paymentMicroUsdc),
  ]);
  const header = ["what", "beneficiary", "worth USDC", "paid USDC"];
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] as string).length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number))).join("  ");
  const facts: readonly (readonly [string, string])[] = [
    ["missed entry", `${forcedEntry.index} (${forcedEntry.type} of account ${forcedEntry.account})`],
    ["anchor", `batch ${anchor.batchNumber}, ${anchor.root}`],
    ["closing marks", `${report.marksSigned} of ${report.instrumentsHeld} instruments`],
    ["registered", `${usdc(table.registeredMicroUsdc)} USDC`],
    ["the pool paid", `${usdc(report.poolPaidMicroUsdc)} USDC`],
    ["vault", `${usdc(table.vaultMicroUsdc)} USDC`],
    ["factor", factorText(table)],
    ["paid in sum", `${usdc(table.paidMicroUsdc)} USDC`],
    ["left in the vault", `${report.vaultLeftMicroUsdc} micro-USDC, expected ${table.dustMicroUsdc}`],
    [
      "gas of a registration",
      Object.entries(report.gasMax)
        .map(([kind, gas]) => `${kind} ${gas}`)
        .join(", "),
    ],
  ];
  return [
    line(header),
    ...rows.map(line),
    "",
    ...facts.map(([name, value]) => `${name.padEnd(22)} ${value}`),
    ...report.problems.map((problem) => `DIFFERS ${problem}`),
  ];
}

export function reportJson(report: RehearsalReport): string {
  return JSON.stringify({ ...report, factor: factorText(report.table) }, (_key, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
}
