// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FixedPoint} from "../../src/lib/FixedPoint.sol";
import {Funding} from "../../src/lib/Funding.sol";
import {RiskParameters, RiskParametersDecoder} from "../../src/lib/RiskParameters.sol";
import {LotCharges, Market, ScenarioRows} from "../../src/lib/ScenarioRows.sol";

/// @notice The pricing libraries behind calls that take and return many cases at once. Integers are packed as big-endian
/// int64, case after case; tools/pricing-cases.mjs writes them.
contract PricingHarness {
    error UnknownFunction(uint256 code);
    error ParametersInvalid();

    uint256 private constant MUL = 0;
    uint256 private constant DIV = 1;
    uint256 private constant SQRT = 2;
    uint256 private constant EXP = 3;
    uint256 private constant LN = 4;
    uint256 private constant NORMAL_CDF = 5;
    uint256 private constant OUT_OF_THE_MONEY = 6;
    uint256 private constant BLACK76 = 7;
    uint256 private constant FUNCTION_INPUTS = 4;
    uint256 private constant ROW_INPUTS = 5;
    uint256 private constant ROW_LENGTH = 40;
    uint256 private constant ROW_OUTPUTS = 1 + ROW_LENGTH + 5;
    uint256 private constant FUNDING_INPUTS = 12;
    uint256 private constant FUNDING_OUTPUTS = 5;

    // ── packed integers ────────────────────────────────────────────────────────────────────────────────────────────

    function get(bytes memory words, uint256 index) private pure returns (int256 value) {
        require(8 * index + 8 <= words.length);
        assembly ("memory-safe") {
            value := sar(192, mload(add(add(words, 0x20), shl(3, index))))
        }
    }

    function set(bytes memory words, uint256 index, int256 value) private pure {
        require(8 * index + 8 <= words.length);
        // An integer that does not fit would look like another one.
        require(value == int256(int64(value)));
        assembly ("memory-safe") {
            let place := add(add(words, 0x20), shl(3, index))
            mstore(place, or(shl(192, value), shr(64, shl(64, mload(place)))))
        }
    }

    function start(bytes memory data) private pure returns (uint256 place) {
        assembly ("memory-safe") {
            place := add(data, 0x20)
        }
    }

    function parametersOf(bytes memory risk) private pure returns (RiskParameters memory parameters) {
        bool isValid;
        (isValid, parameters) = RiskParametersDecoder.decode(start(risk), risk.length);
        if (!isValid) revert ParametersInvalid();
    }

    // ── cases ──────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Four inputs a case, unused ones zero; one result a case.
    function functions(uint256 code, bytes memory inputs) external pure returns (bytes memory results) {
        uint256 count = inputs.length / 8 / FUNCTION_INPUTS;
        results = new bytes(8 * count);
        for (uint256 i = 0; i < count; ++i) {
            set(results, i, evaluate(code, inputs, i * FUNCTION_INPUTS));
        }
    }

    function evaluate(uint256 code, bytes memory inputs, uint256 first) private pure returns (int256) {
        int256 a = get(inputs, first);
        int256 b = get(inputs, first + 1);
        if (code == MUL) return FixedPoint.mulQ48(a, b);
        if (code == DIV) return FixedPoint.divQ48(a, b);
        if (code == SQRT) return FixedPoint.sqrtQ48(a);
        if (code == EXP) return FixedPoint.expQ48(a);
        if (code == LN) return FixedPoint.lnQ48(a);
        if (code == NORMAL_CDF) return FixedPoint.normalCdfQ48(a);
        if (code == OUT_OF_THE_MONEY) return FixedPoint.outOfTheMoneyFromLogQ48(a, FixedPoint.lnQ48(a), b);
        if (code != BLACK76) revert UnknownFunction(code);
        return FixedPoint.black76(a, b, get(inputs, first + 2), get(inputs, first + 3) != 0);
    }

    /// @notice kind, strike, expiry, lot and number a case, where the number names the underlying's cell. Results: refusal,
    /// 40 row values, whether charges exist, 4 charges; what is refused leaves zeros. As computeRow, each row has a
    /// preparation of its own, unless `isShared`: then one serves all cases of the same expiry and lot in succession.
    function rows(bytes memory risk, bytes[] memory cells, bytes memory inputs, bool isShared)
        external
        pure
        returns (bytes memory results)
    {
        RiskParameters memory parameters = parametersOf(risk);
        uint256 count = inputs.length / 8 / ROW_INPUTS;
        results = new bytes(8 * count * ROW_OUTPUTS);
        ScenarioRows.Pricer memory pricer;
        for (uint256 i = 0; i < count; ++i) {
            bool isPrepared = isShared && i > 0 && sharesPreparation(inputs, i);
            if (!isShared) pricer = newPricer();
            Market memory market = ScenarioRows.marketOf(start(cells[uint256(get(inputs, i * ROW_INPUTS + 4))]));
            rowCase(pricer, parameters, market, inputs, i, isPrepared, results);
        }
    }

    function newPricer() private pure returns (ScenarioRows.Pricer memory pricer) {}

    function sharesPreparation(bytes memory inputs, uint256 i) private pure returns (bool) {
        uint256 first = i * ROW_INPUTS;
        for (uint256 field = 2; field < 5; ++field) {
            if (get(inputs, first + field) != get(inputs, first - ROW_INPUTS + field)) return false;
        }
        return true;
    }

    function rowCase(
        ScenarioRows.Pricer memory pricer,
        RiskParameters memory parameters,
        Market memory market,
        bytes memory inputs,
        uint256 i,
        bool isPrepared,
        bytes memory results
    ) private pure {
        int256[] memory row = new int256[](ROW_LENGTH);
        uint256 kind = uint256(get(inputs, i * ROW_INPUTS));
        int256 lot = get(inputs, i * ROW_INPUTS + 3);
        uint256 refusal = kind == 0 ? ScenarioRows.REFUSED_KIND_WITHOUT_ROW : ScenarioRows.REFUSED_NONE;
        if (refusal == 0 && !isPrepared) {
            refusal = ScenarioRows.prepare(pricer, parameters, market, get(inputs, i * ROW_INPUTS + 2), lot);
        }
        if (refusal == 0) {
            refusal = ScenarioRows.price(pricer, parameters, kind, get(inputs, i * ROW_INPUTS + 1), row);
        }
        uint256 first = i * ROW_OUTPUTS;
        set(results, first, int256(refusal));
        if (refusal == 0) {
            for (uint256 s = 0; s < ROW_LENGTH; ++s) {
                set(results, first + 1 + s, row[s]);
            }
        }
        chargesCase(parameters, kind, lot, market.index, results, first + 1 + ROW_LENGTH);
    }

    function chargesCase(
        RiskParameters memory parameters,
        uint256 kind,
        int256 lot,
        int256 index,
        bytes memory results,
        uint256 first
    ) private pure {
        (bool isPriced, LotCharges memory charges) = ScenarioRows.lotChargesOf(parameters, kind, lot, index);
        if (!isPriced) return;
        set(results, first, 1);
        set(results, first + 1, charges.shortAddOn);
        set(results, first + 2, charges.longAddOn);
        set(results, first + 3, charges.concentrationAddOn);
        set(results, first + 4, charges.feePerLot);
    }

    /// @notice reportMs, premium and index average before; the same of the report; whether a perpetual exists, its funding
    /// index and lot; size and both indices of a position. Results: whether the funding index is safe, premium and index
    /// average, funding index (these three 0 when not), payment.
    function funding(bytes memory risk, bytes memory inputs) external pure returns (bytes memory results) {
        RiskParameters memory parameters = parametersOf(risk);
        uint256 count = inputs.length / 8 / FUNDING_INPUTS;
        results = new bytes(8 * count * FUNDING_OUTPUTS);
        for (uint256 i = 0; i < count; ++i) {
            fundingCase(parameters, inputs, i, results);
        }
    }

    function fundingCase(RiskParameters memory parameters, bytes memory inputs, uint256 i, bytes memory results)
        private
        pure
    {
        uint256 first = i * FUNDING_INPUTS;
        uint256 to = i * FUNDING_OUTPUTS;
        (bool isSafe, Funding.ReportEffect memory effect) = Funding.applyReport(reportOf(inputs, first), parameters);
        if (isSafe) {
            set(results, to, 1);
            set(results, to + 1, effect.premiumEma);
            set(results, to + 2, effect.indexAverage);
            set(results, to + 3, effect.fundingIndex);
        }
        int256 payment = Funding.paymentFloor(get(inputs, first + 9), get(inputs, first + 10), get(inputs, first + 11));
        set(results, to + 4, payment);
    }

    function reportOf(bytes memory inputs, uint256 first) private pure returns (Funding.Report memory report) {
        report.reportMsBefore = get(inputs, first);
        report.premiumEmaBefore = get(inputs, first + 1);
        report.indexAverageBefore = get(inputs, first + 2);
        report.reportMs = get(inputs, first + 3);
        report.premium = get(inputs, first + 4);
        report.index = get(inputs, first + 5);
        report.hasPerpetual = get(inputs, first + 6) != 0;
        report.fundingIndex = get(inputs, first + 7);
        report.lotNanoCoin = get(inputs, first + 8);
    }

    /// @notice Whether each encoding is valid and, if so, every field in the order of the encoding; else nothing.
    function decode(bytes[] memory encodings) external pure returns (bytes[] memory results) {
        results = new bytes[](encodings.length);
        for (uint256 i = 0; i < encodings.length; ++i) {
            (bool isValid, RiskParameters memory parameters) =
                RiskParametersDecoder.decode(start(encodings[i]), encodings[i].length);
            if (isValid) results[i] = fieldsOf(parameters);
        }
    }

    function fieldsOf(RiskParameters memory parameters) private pure returns (bytes memory fields) {
        fields = new bytes(8 * (1 + 9 + 8 + RiskParametersDecoder.SCALAR_COUNT));
        set(fields, 0, int256(parameters.version));
        for (uint256 j = 0; j < 9; ++j) {
            set(fields, 1 + j, parameters.spotMovesPpb[j]);
        }
        for (uint256 j = 0; j < 8; ++j) {
            set(fields, 10 + j, parameters.tailMovesPpb[j]);
        }
        // Field by field and by name, not by the layout that the decoder writes to.
        int256[38] memory scalars = [
            parameters.tailDampingPpb,
            parameters.volatilityUpPpb,
            parameters.volatilityDownPpb,
            parameters.volatilityReferenceDays,
            parameters.volatilityPowerShortPpb,
            parameters.volatilityPowerLongPpb,
            parameters.volatilityUpFloorPpb,
            parameters.volatilityMinPpb,
            parameters.volatilityBaseMaxPpb,
            parameters.volatilityShockedMaxPpb,
            parameters.rollPpbPerYear,
            parameters.rollMinPpb,
            parameters.skewPpb,
            parameters.skewSpanPpb,
            parameters.averagingWindowMs,
            parameters.maintenanceFactorPpb,
            parameters.optionShortAddOnPpb,
            parameters.optionLongAddOnPpb,
            parameters.linearAddOnPpb,
            parameters.concentrationPpb,
            parameters.optionConcentrationLots,
            parameters.linearConcentrationLots,
            parameters.premiumClampPpb,
            parameters.premiumTimeConstantMs,
            parameters.indexAverageTimeConstantMs,
            parameters.fundingDeadBandPpb,
            parameters.fundingCapPpb,
            parameters.fundingPeriodMs,
            parameters.takerFeePpb,
            parameters.makerFeePpb,
            parameters.optionFeePriceDivisor,
            parameters.markAgeMaxMs,
            parameters.liquidationPenaltyPpb,
            parameters.liquidationBoundPpb,
            parameters.liquidationSliceMicroUsdc,
            parameters.auctionDurationMs,
            parameters.creditPoolFactorPpb,
            parameters.creditAccountMaxMicroUsdc
        ];
        for (uint256 j = 0; j < 38; ++j) {
            set(fields, 18 + j, scalars[j]);
        }
    }
}
