import type { defaultParameters, ParameterSet } from "@tidemark/ledger";

export declare const CYCLE_AGE_MS_MAX: number;
export declare const SEQUENCER_KEY: Uint8Array;
export declare function receiptsFolder(directory: string): string;
export declare function parametersOf(make: typeof defaultParameters, seed: number): ParameterSet;
export declare function oracleKeysOf(seed: number): { signer: number; privateKey: Uint8Array }[];
