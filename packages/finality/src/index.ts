export * from "./tiers.ts";
