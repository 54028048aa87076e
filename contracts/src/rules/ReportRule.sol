// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Funding} from "../lib/Funding.sol";
import {ParameterReader} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {RiskParameters, RiskParametersDecoder} from "../lib/RiskParameters.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Weights} from "../lib/Weights.sol";
import {CycleRule, Run} from "./CycleRule.sol";
import {Quorum} from "./Quorum.sol";

/// @title report: an oracle quorum's index, premium and surfaces for one underlying
/// @notice Opens a mark epoch and moves funding: packages/ledger/src/kinds/report.ts.
contract ReportRule is CycleRule {
    using StateWitness for *;

    uint256 private constant MICRO_USD_MAX = 2 ** 50 - 1;
    int256 private constant BILLION = 1e9;
    int256 private constant SURFACE_A_MAX = 30 * BILLION;
    int256 private constant SURFACE_B_MAX = 1000 * BILLION;
    int256 private constant SURFACE_M_MAX = 4 * BILLION;
    int256 private constant SURFACE_S_MAX = 4 * BILLION;

    // Of the body.
    uint256 private constant REPORT_MS = 2;
    uint256 private constant INDEX = 10;
    uint256 private constant PREMIUM = 18;
    uint256 private constant SURFACE_COUNT = 26;
    uint256 private constant SURFACES = 27;

    function kind() public pure override returns (uint256) {
        return 1;
    }

    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        (bool isCanonical,) = PayloadReader.report(run.body, run.end);
        if (!isCanonical) return (RejectionCodes.MALFORMED, 0);
        return (0, Weights.report(run.length));
    }

    function _execute(Run memory run) internal view override returns (uint256) {
        uint256 body = run.body;
        Cell memory cell = run.state.underlyings.find(PayloadReader.read(body, 2));
        if (cell.length == 0) return RejectionCodes.REPORT_UNKNOWN_UNDERLYING;
        if (Cells.read8(cell.data + Cells.UNDERLYING_EPOCH_OPEN) != 0) return RejectionCodes.REPORT_EPOCH_STILL_OPEN;
        uint256 reportMs = PayloadReader.read(body + REPORT_MS, 8);
        if (reportMs <= Cells.read(cell.data + Cells.UNDERLYING_REPORT_MS, 8)) {
            return RejectionCodes.REPORT_TIME_NOT_INCREASING;
        }
        if (reportMs > run.timeMs) return RejectionCodes.REPORT_AHEAD;
        uint256 index = PayloadReader.read(body + INDEX, 8);
        int256 premium = PayloadReader.readSigned64(body + PREMIUM);
        if (index == 0 || index > MICRO_USD_MAX || premium > BILLION || premium < -BILLION) {
            return RejectionCodes.REPORT_INDEX_OUT_OF_RANGE;
        }
        uint256 signatures = body + SURFACES + Cells.SURFACE_BYTES * PayloadReader.read8(body + SURFACE_COUNT);
        if (!_areSurfacesValid(body + SURFACES, signatures)) return RejectionCodes.REPORT_SURFACE_OUT_OF_RANGE;
        bytes32 structHash =
            keccak256(abi.encode(Signatures.REPORT_TYPE_HASH, run.parameters.domain, _hash(body, signatures)));
        if (!Quorum.signed(run.parameters, structHash, signatures)) return RejectionCodes.REPORT_BAD_QUORUM;
        return _apply(run, cell, signatures);
    }

    function _hash(uint256 from, uint256 to) private pure returns (bytes32 value) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, from, sub(to, from))
            value := keccak256(free, sub(to, from))
        }
    }

    /// @dev Expiries increase from above 0, which is the perpetual's.
    function _areSurfacesValid(uint256 offset, uint256 end) private pure returns (bool) {
        uint256 previousMs = 0;
        for (; offset < end; offset += Cells.SURFACE_BYTES) {
            uint256 expiryMs = PayloadReader.read(offset, 8);
            if (expiryMs <= previousMs || !_isSurfaceValid(offset)) return false;
            previousMs = expiryMs;
        }
        return true;
    }

    function _isSurfaceValid(uint256 offset) private pure returns (bool) {
        uint256 forward = PayloadReader.read(offset + 8, 8);
        if (forward == 0 || forward > MICRO_USD_MAX || PayloadReader.read(offset + 16, 8) > MICRO_USD_MAX) {
            return false;
        }
        int256 a = PayloadReader.readSigned64(offset + 24);
        int256 b = PayloadReader.readSigned64(offset + 32);
        int256 rho = PayloadReader.readSigned64(offset + 40);
        int256 m = PayloadReader.readSigned64(offset + 48);
        int256 s = PayloadReader.readSigned64(offset + 56);
        return a <= SURFACE_A_MAX && a >= -SURFACE_A_MAX && b >= 0 && b <= SURFACE_B_MAX && rho < BILLION
            && rho > -BILLION && m <= SURFACE_M_MAX && m >= -SURFACE_M_MAX && s > 0 && s <= SURFACE_S_MAX;
    }

    function _apply(Run memory run, Cell memory cell, uint256 signatures) private pure returns (uint256) {
        (bool isValid, RiskParameters memory risk) =
            RiskParametersDecoder.decode(run.parameters.risk, run.parameters.riskLength);
        // Not a revert on the payload: parameters with the hash of the state's globals are valid.
        if (!isValid) revert ParameterReader.ParametersMalformed();
        Funding.Report memory report = _reportOf(run, cell.data);
        Cell memory perpetual;
        if (report.hasPerpetual) {
            uint256 number = Cells.read(cell.data + Cells.UNDERLYING_PERPETUAL, 3);
            perpetual = run.state.instruments.find(number);
            // The perpetual that an underlying names exists in every valid state.
            if (perpetual.length == 0) revert StateWitness.CellMissing(number);
            report.fundingIndex = Cells.readSigned64(perpetual.data + Cells.INSTRUMENT_FUNDING_INDEX);
            report.lotNanoCoin = int256(Cells.read(perpetual.data + Cells.INSTRUMENT_LOT_NANO_COIN, 8));
        }
        (bool isSafe, Funding.ReportEffect memory effect) = Funding.applyReport(report, risk);
        if (!isSafe) return RejectionCodes.REPORT_FUNDING_OVERFLOW;
        if (report.hasPerpetual) {
            Cells.writeSigned64(perpetual.data + Cells.INSTRUMENT_FUNDING_INDEX, effect.fundingIndex);
        }
        _write(run, cell, effect, signatures);
        return 0;
    }

    function _reportOf(Run memory run, uint256 underlying) private pure returns (Funding.Report memory report) {
        report.reportMsBefore = int256(Cells.read(underlying + Cells.UNDERLYING_REPORT_MS, 8));
        report.premiumEmaBefore = Cells.readSigned64(underlying + Cells.UNDERLYING_PREMIUM_EMA);
        report.indexAverageBefore = int256(Cells.read(underlying + Cells.UNDERLYING_INDEX_AVERAGE, 8));
        report.reportMs = int256(PayloadReader.read(run.body + REPORT_MS, 8));
        report.premium = PayloadReader.readSigned64(run.body + PREMIUM);
        report.index = int256(PayloadReader.read(run.body + INDEX, 8));
        report.hasPerpetual = Cells.read8(underlying + Cells.UNDERLYING_HAS_PERPETUAL) != 0;
    }

    function _write(Run memory run, Cell memory cell, Funding.ReportEffect memory effect, uint256 signatures)
        private
        pure
    {
        uint256 surfaces = signatures - run.body - SURFACES;
        uint256 length = Cells.UNDERLYING_FIXED_BYTES + surfaces;
        if (length > cell.length) cell.grow(length - cell.length);
        cell.length = length;
        uint256 offset = cell.data;
        Cells.write(offset, 8, Cells.read(offset, 8) + 1);
        Cells.write8(offset + Cells.UNDERLYING_EPOCH_OPEN, 1);
        Cells.write(offset + Cells.UNDERLYING_INDEX_AVERAGE, 8, uint256(effect.indexAverage));
        Cells.writeSigned64(offset + Cells.UNDERLYING_PREMIUM_EMA, effect.premiumEma);
        uint256 body = run.body;
        uint256 countAndSurfaces = surfaces + 1;
        uint256 reportAt = offset + Cells.UNDERLYING_REPORT_MS;
        uint256 countAt = offset + Cells.UNDERLYING_SURFACE_COUNT;
        // Payload and cell share these fields' bytes: reportMs and index; the count and the surfaces.
        assembly ("memory-safe") {
            calldatacopy(reportAt, add(body, REPORT_MS), 16)
            calldatacopy(countAt, add(body, SURFACE_COUNT), countAndSurfaces)
        }
    }
}
