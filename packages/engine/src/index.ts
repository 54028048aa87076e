export type { DepthLevel } from "./book.ts";
export * from "./codec.ts";
export * from "./commands.ts";
export type { EngineConfig } from "./core.ts";
export * from "./engine.ts";
export * from "./events.ts";
export type { AccountMargin } from "./margin.ts";
export type { OrderOutcome } from "./matching.ts";
export * from "./rejections.ts";
