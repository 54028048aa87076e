// The signer that the daemon uses: native where it loads.
import { fallback } from "./fallback.ts";
import { native } from "./native.ts";
import type { Signer } from "./port.ts";

export const signer: Signer = native ?? fallback;
