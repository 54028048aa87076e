// A file of receipts that a trader keeps: what the sequencer signed, and the order that it is about. Trusted by nobody.
import { readFileSync } from "node:fs";
import type { Hash, Order } from "@tidemark/ledger";
import { LEGS_MAX } from "@tidemark/ledger";
import { U24_MAX, U48_MAX } from "@tidemark/num";
import { z } from "zod";
import { writeFileWhole } from "../dataFolder.ts";
import { ExitCode, NodeError } from "../errors.ts";
import type { SignedReceipt } from "./store.ts";

const hash = z.custom<Hash>((value) => typeof value === "string" && /^0x[0-9a-f]{64}$/.test(value), "32 bytes as hex");
const signature = z.custom<Hash>(
  (value) => typeof value === "string" && /^0x[0-9a-f]{128}$/.test(value),
  "64 bytes as hex",
);
const unsigned = (most: number): z.ZodNumber => z.number().int().min(0).max(most);
const int32 = z
  .number()
  .int()
  .min(-(2 ** 31) + 1)
  .max(2 ** 31 - 1);
const U32_MAX = 2 ** 32 - 1;
const SAFE_MAX = Number.MAX_SAFE_INTEGER;
const PATH_MAX = 32;

const receiptSchema = z.strictObject({
  kind: z.enum(["fill", "cancel"]),
  domain: unsigned(U32_MAX),
  account: unsigned(U24_MAX),
  orderHash: hash,
  nonce: unsigned(U48_MAX),
  filledLots: unsigned(U32_MAX),
  filledCash: z.number().int().min(-SAFE_MAX).max(SAFE_MAX),
  deadlineMs: unsigned(SAFE_MAX),
  tier: unsigned(255),
});

const orderSchema = z.strictObject({
  domain: unsigned(U32_MAX),
  account: unsigned(U24_MAX),
  legs: z
    .array(z.strictObject({ instrument: unsigned(U24_MAX), ratio: int32 }))
    .min(1)
    .max(LEGS_MAX),
  size: int32,
  limitPrice: int32,
  maxFeePerLot: unsigned(SAFE_MAX),
  nonce: unsigned(U48_MAX),
  startMs: unsigned(SAFE_MAX),
  expiryMs: unsigned(SAFE_MAX),
  flags: unsigned(U32_MAX),
});

const fileSchema = z.strictObject({
  version: z.literal(1),
  chainId: unsigned(SAFE_MAX),
  /** The custody contract: part of what was signed. */
  custody: z.string(),
  receipts: z.array(
    z.strictObject({ receipt: receiptSchema, order: orderSchema, path: z.array(hash).max(PATH_MAX), signature }),
  ),
});

export interface ReceiptFile {
  chainId: number;
  custody: string;
  receipts: SignedReceipt[];
}

export function writeReceiptFile(file: string, content: ReceiptFile): void {
  writeFileWhole(file, `${JSON.stringify({ version: 1, ...content }, null, 1)}\n`);
}

/** @throws NodeError RECEIPT_FILE_INVALID */
export function readReceiptFile(file: string): ReceiptFile {
  const invalid = (why: string, cause?: unknown): NodeError =>
    new NodeError("RECEIPT_FILE_INVALID", `${file}: ${why}`, { exitCode: ExitCode.usage, cause });
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    throw invalid("cannot be read as JSON", cause);
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  const { chainId, custody, receipts } = parsed.data;
  // The schema has checked the ranges that the brands of an order's fields stand for.
  return { chainId, custody, receipts: receipts.map((signed) => ({ ...signed, order: signed.order as Order })) };
}
