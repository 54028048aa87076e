export * from "./attribute.ts";
export * from "./batch.ts";
export * from "./claims.ts";
export * from "./cut.ts";
export * from "./plan.ts";
export * from "./ports.ts";
export * from "./propose.ts";
export * from "./watcher.ts";
