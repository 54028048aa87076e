// The one source of the ledger's limits; tools/generate-limits.ts writes contracts/src/lib/Limits.sol from it.

export const PAYLOAD_VERSION = 1;
export const STATE_FORMAT = 1;
/** keccak256 everywhere. */
export const HASH_SUITE = 1;

export const ACCOUNT_TREE_DEPTH = 24;
export const INSTRUMENT_TREE_DEPTH = 24;
export const UNDERLYING_TREE_DEPTH = 16;
export const OUTBOX_TREE_DEPTH = 32;
export const RING_TREE_DEPTH = 16;
export const RING_SLOTS = 2 ** RING_TREE_DEPTH;

export const TREASURY_ACCOUNT = 0;
export const INSURANCE_ACCOUNT = 1;
/** Account numbers are u24. */
export const ACCOUNTS_MAX = 2 ** ACCOUNT_TREE_DEPTH;
/** Below the 2^24 leaves of the tree, so that the rows of POSITIONS_MAX instruments fit one challenge: see weight.ts. */
export const INSTRUMENTS_MAX = 2 ** 20;
export const UNDERLYINGS_MAX = 8;

export const POSITIONS_MAX = 128;
export const DELEGATES_MAX = 8;
export const EXPIRIES_MAX = 24;
export const ROW_LENGTH = 40;
export const ROWS_PER_CYCLE_MAX = 16;
export const LEGS_MAX = 4;
export const TRADE_ACCOUNTS_MAX = 255;
export const TRADE_ENTRIES_MAX = 255;
export const LIQUIDATION_LEGS_MAX = POSITIONS_MAX;
export const SERIES_STRIKES_MAX = 120;
export const ORACLES_MAX = 16;
export const INBOUND_PER_CYCLE_MAX = 32;
export const OUTBOUND_PER_CYCLE_MAX = 8;
export const REALISATIONS_PER_CYCLE_MAX = 16;
export const EXPIRY_INSTRUMENTS_MAX = 64;
export const BANKRUPTCIES_PER_CYCLE_MAX = 32;
export const ADL_COUNTERPARTIES_MAX = 64;
/** A bid takes 1 … AUCTION_PARTS of this many parts of every position. */
export const AUCTION_PARTS = 1000;
/** Bytes of one change of the parameter set: the custody queues no longer one. */
export const ADMIN_CHANGE_BYTES_MAX = 1024;

/** |cash| < CASH_BOUND micro-USDC. */
export const CASH_BOUND = 2 ** 53;
/** Σ |size| · max V < EXPOSURE_BOUND micro-USDC per account. */
export const EXPOSURE_BOUND = 2 ** 52;
/** 0 ≤ V < ROW_VALUE_BOUND micro-USDC per lot. */
export const ROW_VALUE_BOUND = 2 ** 40;
/** Funding indices are micro-USDC per lot · 2^FUNDING_SHIFT. */
export const FUNDING_SHIFT = 20;
export const ORDER_LIFETIME_MAX_MS = 30 * 24 * 60 * 60 * 1000;
/** Of the order that a forced close makes. */
export const FORCED_CLOSE_LIFETIME_MS = 24 * 60 * 60 * 1000;
/** Greatest fee that an order can name: the schedule alone bounds what a forced close pays. */
export const FORCED_CLOSE_FEE_MAX = 2 ** 40 - 1;

export const CYCLES_PER_BATCH_MAX = 256;
export const BATCH_BYTES_MAX = 120 * 1024;
export const CYCLE_BYTES_MAX = 64 * 1024;

/** No challenge needs more calldata than this. */
export const CHALLENGE_BYTES_MAX = 112 * 1024;
/** Selector, two batch headers, the cycle's path in cyclesRoot, state roots, globals and ABI padding of a challenge. */
export const CHALLENGE_FIXED_BYTES = 2 * 1024;
/** Bound of cycleWeight: with it every one-transaction challenge stays within CHALLENGE_BYTES_MAX. */
export const CYCLE_WEIGHT_MAX = CHALLENGE_BYTES_MAX - CHALLENGE_FIXED_BYTES;

/** Field elements of one blob (EIP-4844). */
export const BLOB_ELEMENTS = 4096;
/** Bytes of data in one element: its top byte is zero, so that any bytes are below the field's modulus. */
export const BLOB_ELEMENT_BYTES = 31;
/** Data of a batch in a blob. The blob holds 126,976 bytes; the challenge that opens it brings all of them in one transaction. */
export const BLOB_BATCH_BYTES_MAX = Math.min(BLOB_ELEMENTS * BLOB_ELEMENT_BYTES, CYCLE_WEIGHT_MAX);
