export * from "./apply.ts";
export * from "./authorise.ts";
export * from "./codec/cells.ts";
export * from "./codec/cycles.ts";
export * from "./codec/inbound.ts";
export { auctionLegsBytes } from "./codec/waterfall.ts";
export * from "./draft.ts";
export * from "./exact-sum.ts";
export {
  type AdlFigures,
  haircutCeil,
  insuranceLeft,
  isAdlEligible,
  ranksBefore,
} from "./kinds/adl.ts";
export {
  type AuctionTerms,
  auctionSlice,
  auctionTermsFloor,
  hasAuctionRunOut,
  isAuctionRunning,
  sliceValue,
} from "./kinds/auctionTerms.ts";
export { isTradable } from "./kinds/entry.ts";
export { settlementPerLotFloor } from "./kinds/expiry.ts";
export { forcedCloseOrder } from "./kinds/forced.ts";
export { lotValueFloor } from "./kinds/liquidation.ts";
export type { CycleContext, KindRule } from "./kinds/rule.ts";
export * from "./limits.ts";
export * from "./margin.ts";
export * from "./parameterChange.ts";
export * from "./parameters.ts";
export * from "./positions.ts";
export { brokenIdentities, type Exact, exact, type ReferenceState, referenceRoot } from "./reference/cells.ts";
export { differences, referenceOf } from "./reference/compare.ts";
export { ReferenceLedger, type ReferenceVerdict } from "./reference/ledger.ts";
export { type ReferenceMargin, referenceMargin } from "./reference/margin.ts";
export * from "./rejections.ts";
export * from "./risk/funding.ts";
export * from "./risk/parameters.ts";
export * from "./risk/rows.ts";
export * from "./serialise.ts";
export * from "./signing.ts";
export * from "./state.ts";
export * from "./tree/roots.ts";
export * from "./tree/sparse-tree.ts";
export * from "./types.ts";
export * from "./weight.ts";
