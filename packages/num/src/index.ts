export * from "./assert.ts";
export * from "./bytes.ts";
export * from "./fixed.reference.ts";
export * from "./fixed.ts";
export * from "./integer.ts";
export * from "./keccak.ts";
export * from "./units.ts";
