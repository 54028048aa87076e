// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FixedPoint} from "./FixedPoint.sol";
import {Limits} from "./Limits.sol";
import {RiskParameters} from "./RiskParameters.sol";

/// @title What a report does to an underlying besides its rows
/// @notice Premium average, index average, funding: packages/ledger/src/risk/funding.ts.
/// @dev Warning: unchecked; each function names its domain. A cell's integers are below 2^53 in size, parameters are valid.
library Funding {
    int256 private constant SAFE_INTEGER_MAX = 2 ** 53 - 1;

    /// @notice An underlying and its perpetual before a report, and the report.
    struct Report {
        /// 0: the underlying never had a report.
        int256 reportMsBefore;
        int256 premiumEmaBefore;
        int256 indexAverageBefore;
        int256 reportMs;
        int256 premium;
        int256 index;
        bool hasPerpetual;
        int256 fundingIndex;
        int256 lotNanoCoin;
    }

    struct ReportEffect {
        int256 premiumEma;
        int256 indexAverage;
        /// New funding index of the perpetual; 0 without one.
        int256 fundingIndex;
    }

    /// @notice average + trunc((sample − average)·Δt / (Δt + τ)). Inputs below 2^54 in size, Δt ≥ 0, τ > 0.
    function emaTrunc(int256 average, int256 sample, int256 elapsedMs, int256 timeConstantMs)
        internal
        pure
        returns (int256)
    {
        unchecked {
            return average + ((sample - average) * elapsedMs) / (elapsedMs + timeConstantMs);
        }
    }

    /// @notice Per fundingPeriodMs: 0 inside the dead band, premium minus the band outside, capped.
    function ratePpb(int256 premiumPpb, RiskParameters memory parameters) internal pure returns (int256 rate) {
        unchecked {
            int256 band = parameters.fundingDeadBandPpb;
            int256 cap = parameters.fundingCapPpb;
            rate = premiumPpb > band ? premiumPpb - band : premiumPpb < -band ? premiumPpb + band : int256(0);
            if (rate > cap) rate = cap;
            if (rate < -cap) rate = -cap;
        }
    }

    /// @notice Change of the funding index: floor(index·lot·rate·min(Δt, period)·2^20 / (10^18·period)). Δt ≥ 0.
    function incrementFloor(
        int256 index,
        int256 lotNanoCoin,
        int256 premiumPpb,
        int256 elapsedMs,
        RiskParameters memory parameters
    ) internal pure returns (int256) {
        unchecked {
            int256 period = parameters.fundingPeriodMs;
            int256 elapsed = elapsedMs < period ? elapsedMs : period;
            // 2^53 · 2^53 · 2^30 = 2^136, times 2^32 · 2^20: below 2^188.
            int256 accrued = index * lotNanoCoin * ratePpb(premiumPpb, parameters);
            return FixedPoint.mulDivFloor(accrued, elapsed << Limits.FUNDING_SHIFT, 1e18 * period);
        }
    }

    /// @notice Funding that a position receives (negative: pays): floor, against the account on either side. |size| < 2^31.
    function paymentFloor(int256 size, int256 positionIndex, int256 instrumentIndex) internal pure returns (int256) {
        unchecked {
            // 2^31 · 2^54 = 2^85.
            return (-size * (instrumentIndex - positionIndex)) >> Limits.FUNDING_SHIFT;
        }
    }

    /// @notice Effect of a report; `isSafe` false when the funding index would leave ±(2^53 − 1): the report is refused.
    /// reportMs ≥ reportMsBefore.
    function applyReport(Report memory report, RiskParameters memory parameters)
        internal
        pure
        returns (bool isSafe, ReportEffect memory effect)
    {
        unchecked {
            effect.fundingIndex = report.hasPerpetual ? report.fundingIndex : int256(0);
            if (report.reportMsBefore == 0) {
                effect.premiumEma = report.premium;
                effect.indexAverage = report.index;
                return (true, effect);
            }
            int256 elapsedMs = report.reportMs - report.reportMsBefore;
            effect.premiumEma =
                emaTrunc(report.premiumEmaBefore, report.premium, elapsedMs, parameters.premiumTimeConstantMs);
            effect.indexAverage =
                emaTrunc(report.indexAverageBefore, report.index, elapsedMs, parameters.indexAverageTimeConstantMs);
            if (!report.hasPerpetual) return (true, effect);
            int256 increment =
                incrementFloor(report.index, report.lotNanoCoin, effect.premiumEma, elapsedMs, parameters);
            int256 next = report.fundingIndex + increment;
            effect.fundingIndex = next;
            isSafe = next <= SAFE_INTEGER_MAX && next >= -SAFE_INTEGER_MAX;
        }
    }
}
