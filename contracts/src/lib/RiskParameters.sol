// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SignedWords} from "./SignedWords.sol";

/// @notice Fields, order and ranges of packages/ledger/src/risk/parameters.ts, which has the meaning of each.
struct RiskParameters {
    uint256 version;
    int256[9] spotMovesPpb;
    int256[8] tailMovesPpb;
    int256 tailDampingPpb;
    int256 volatilityUpPpb;
    int256 volatilityDownPpb;
    int256 volatilityReferenceDays;
    int256 volatilityPowerShortPpb;
    int256 volatilityPowerLongPpb;
    int256 volatilityUpFloorPpb;
    int256 volatilityMinPpb;
    int256 volatilityBaseMaxPpb;
    int256 volatilityShockedMaxPpb;
    int256 rollPpbPerYear;
    int256 rollMinPpb;
    int256 skewPpb;
    int256 skewSpanPpb;
    int256 averagingWindowMs;
    int256 maintenanceFactorPpb;
    int256 optionShortAddOnPpb;
    int256 optionLongAddOnPpb;
    int256 linearAddOnPpb;
    int256 concentrationPpb;
    int256 optionConcentrationLots;
    int256 linearConcentrationLots;
    int256 premiumClampPpb;
    int256 premiumTimeConstantMs;
    int256 indexAverageTimeConstantMs;
    int256 fundingDeadBandPpb;
    int256 fundingCapPpb;
    int256 fundingPeriodMs;
    int256 takerFeePpb;
    int256 makerFeePpb;
    int256 optionFeePriceDivisor;
    int256 markAgeMaxMs;
    int256 liquidationPenaltyPpb;
    int256 liquidationBoundPpb;
    int256 liquidationSliceMicroUsdc;
    int256 auctionDurationMs;
    int256 creditPoolFactorPpb;
    int256 creditAccountMaxMicroUsdc;
}

/// @title Decoder of encoded risk parameters
/// @notice The bytes of encodeRiskParameters: u16 version, u8 count and i64 moves (spot, then tails), i64 scalars.
library RiskParametersDecoder {
    uint256 internal constant VERSION = 1;
    uint256 internal constant SPOT_MOVE_COUNT = 9;
    uint256 internal constant TAIL_MOVE_COUNT = 8;
    uint256 internal constant SCALAR_COUNT = 38;
    /// @notice Length of the encoding.
    uint256 internal constant ENCODED_BYTES = 2 + 1 + 8 * SPOT_MOVE_COUNT + 1 + 8 * TAIL_MOVE_COUNT + 8 * SCALAR_COUNT;
    uint256 private constant SPOT_MOVES_OFFSET = 3;
    uint256 private constant TAIL_COUNT_OFFSET = SPOT_MOVES_OFFSET + 8 * SPOT_MOVE_COUNT;
    uint256 private constant TAIL_MOVES_OFFSET = TAIL_COUNT_OFFSET + 1;
    uint256 private constant SCALARS_OFFSET = TAIL_MOVES_OFFSET + 8 * TAIL_MOVE_COUNT;
    /// @dev In memory: version and one pointer for each list of moves come first.
    uint256 private constant SCALARS_MEMORY_OFFSET = 0x60;
    int256 private constant BILLION = 1_000_000_000;
    int256 private constant DAY_MS = 86_400_000;
    int256 private constant INT32_MAX = 2 ** 31 - 1;

    /// @notice Decodes `length` bytes in memory at `source`. `isValid` says what decodeRiskParameters says: these are the bytes of
    /// a set whose version is known, whose fields are within their ranges and fit each other. When false the parameters
    /// mean nothing.
    /// @dev Warning: the pricing libraries rest on these ranges. They use no other parameters than valid ones.
    function decode(uint256 source, uint256 length)
        internal
        pure
        returns (bool isValid, RiskParameters memory parameters)
    {
        if (length != ENCODED_BYTES) return (false, parameters);
        // A u16, little-endian, and the two counts.
        parameters.version = byteAt(source, 0) | (byteAt(source, 1) << 8);
        if (byteAt(source, 2) != SPOT_MOVE_COUNT || byteAt(source, TAIL_COUNT_OFFSET) != TAIL_MOVE_COUNT) {
            return (false, parameters);
        }
        int256[9] memory spotMoves = parameters.spotMovesPpb;
        int256[8] memory tailMoves = parameters.tailMovesPpb;
        uint256 spotTarget;
        uint256 tailTarget;
        uint256 scalarTarget;
        assembly ("memory-safe") {
            spotTarget := spotMoves
            tailTarget := tailMoves
            scalarTarget := add(parameters, SCALARS_MEMORY_OFFSET)
        }
        unchecked {
            SignedWords.decode(source + SPOT_MOVES_OFFSET, SPOT_MOVE_COUNT, spotTarget);
            SignedWords.decode(source + TAIL_MOVES_OFFSET, TAIL_MOVE_COUNT, tailTarget);
            SignedWords.decode(source + SCALARS_OFFSET, SCALAR_COUNT, scalarTarget);
        }
        isValid = parameters.version == VERSION && areMovesValid(parameters) && areShapesInRange(parameters)
            && areRatesInRange(parameters) && areRelationsValid(parameters);
    }

    function byteAt(uint256 source, uint256 offset) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(0, mload(add(source, offset)))
        }
    }

    // ── what decodeRiskParameters refuses ──────────────────────────────────────────────────────────────────────────

    function within(int256 value, int256 low, int256 high) private pure returns (bool result) {
        assembly ("memory-safe") {
            result := iszero(or(slt(value, low), sgt(value, high)))
        }
    }

    function isMove(int256 movePpb) private pure returns (bool) {
        return within(movePpb, -990_000_000, 10 * BILLION);
    }

    /// @dev Spot moves: 0, then increasing and not 0. Tails: increasing, each at least the damping in size.
    function areMovesValid(RiskParameters memory p) private pure returns (bool) {
        unchecked {
            int256[9] memory spot = p.spotMovesPpb;
            int256[8] memory tail = p.tailMovesPpb;
            if (spot[0] != 0) return false;
            for (uint256 i = 1; i < SPOT_MOVE_COUNT; ++i) {
                if (!isMove(spot[i]) || spot[i] == 0 || (i > 1 && spot[i] <= spot[i - 1])) return false;
            }
            for (uint256 i = 0; i < TAIL_MOVE_COUNT; ++i) {
                int256 move = tail[i];
                if (!isMove(move) || (i > 0 && move <= tail[i - 1])) return false;
                if ((move < 0 ? -move : move) < p.tailDampingPpb) return false;
            }
            return true;
        }
    }

    function areShapesInRange(RiskParameters memory p) private pure returns (bool) {
        return within(p.tailDampingPpb, 1, BILLION) && within(p.volatilityUpPpb, 0, 800_000_000)
            && within(p.volatilityDownPpb, 0, BILLION) && within(p.volatilityReferenceDays, 1, 31)
            && within(p.volatilityPowerShortPpb, 0, 500_000_000) && within(p.volatilityPowerLongPpb, 0, 500_000_000)
            && within(p.volatilityUpFloorPpb, 0, 5 * BILLION) && within(p.volatilityMinPpb, 1_000_000, BILLION)
            && within(p.volatilityBaseMaxPpb, BILLION, 5 * BILLION)
            && within(p.volatilityShockedMaxPpb, 5 * BILLION, 10 * BILLION) && within(p.rollPpbPerYear, 0, 200_000_000)
            && within(p.rollMinPpb, 0, 200_000_000) && within(p.skewPpb, 0, 900_000_000)
            && within(p.skewSpanPpb, 10_000_000, 8 * BILLION) && within(p.averagingWindowMs, 1000, DAY_MS)
            && within(p.maintenanceFactorPpb, 1, BILLION);
    }

    function areRatesInRange(RiskParameters memory p) private pure returns (bool) {
        return within(p.optionShortAddOnPpb, 0, BILLION) && within(p.optionLongAddOnPpb, 0, BILLION)
            && within(p.linearAddOnPpb, 0, BILLION) && within(p.concentrationPpb, 0, BILLION)
            && within(p.optionConcentrationLots, 0, INT32_MAX) && within(p.linearConcentrationLots, 0, INT32_MAX)
            && within(p.premiumClampPpb, 0, 500_000_000) && within(p.premiumTimeConstantMs, 1, DAY_MS)
            && within(p.indexAverageTimeConstantMs, 1, 30 * DAY_MS) && within(p.fundingDeadBandPpb, 0, BILLION)
            && within(p.fundingCapPpb, 0, BILLION) && within(p.fundingPeriodMs, 60_000, 30 * DAY_MS)
            && within(p.takerFeePpb, 0, 100_000_000) && within(p.makerFeePpb, 0, 100_000_000)
            && within(p.optionFeePriceDivisor, 1, 1000) && within(p.markAgeMaxMs, 1000, DAY_MS)
            && within(p.liquidationPenaltyPpb, 0, 500_000_000) && within(p.liquidationBoundPpb, 0, BILLION)
            && within(p.liquidationSliceMicroUsdc, 1, 2 ** 50) && within(p.auctionDurationMs, 1000, DAY_MS)
            && within(p.creditPoolFactorPpb, 0, BILLION) && within(p.creditAccountMaxMicroUsdc, 0, 2 ** 50);
    }

    function areRelationsValid(RiskParameters memory p) private pure returns (bool) {
        return p.volatilityMinPpb <= p.volatilityBaseMaxPpb && p.fundingDeadBandPpb <= p.fundingCapPpb
            && p.makerFeePpb <= p.takerFeePpb;
    }
}
