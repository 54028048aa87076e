export * from "./bond.ts";
export * from "./tiers.ts";
