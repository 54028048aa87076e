// The parts that margin questions ("what if") and the benchmarks use by themselves.
export { Accounts } from "./accounts.ts";
export type { DepthLevel } from "./book.ts";
export { Books } from "./book.ts";
export * from "./codec.ts";
export * from "./commands.ts";
export type { EngineConfig } from "./core.ts";
export * from "./engine.ts";
export * from "./events.ts";
export { type FeeRule, Instruments } from "./instruments.ts";
export type { AccountMargin } from "./margin.ts";
export { Margin } from "./margin.ts";
export type { OrderOutcome } from "./matching.ts";
export { ACCOUNT, INSTRUMENT, NONE, ORDER_STRIDE_SHIFT, OrderArena, PRICE, REMAINING, SIDE } from "./orders.ts";
export * from "./rejections.ts";
