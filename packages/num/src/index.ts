export * from "./assert.ts";
export * from "./bytes.ts";
export * from "./integer.ts";
export * from "./keccak.ts";
export * from "./units.ts";
