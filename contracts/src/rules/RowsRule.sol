// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {ParameterReader} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {RiskParameters, RiskParametersDecoder} from "../lib/RiskParameters.sol";
import {LotCharges, Market, ScenarioRows} from "../lib/ScenarioRows.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Weights} from "../lib/Weights.sol";
import {CycleRule, Run} from "./CycleRule.sol";

/// @title rows: scenario rows of some instruments, computed from their underlying's last report while its epoch is open
/// @notice packages/ledger/src/kinds/rows.ts.
contract RowsRule is CycleRule {
    using StateWitness for *;

    // Of the body.
    uint256 private constant CLOSES_EPOCH = 2;
    uint256 private constant COUNT = 3;
    uint256 private constant INSTRUMENTS = 4;

    /// @dev What the instruments of one cycle share.
    struct Pricing {
        RiskParameters risk;
        Market market;
        ScenarioRows.Pricer pricer;
        int256[] row;
        /// @dev Of the last prepared pricer; −1 before the first.
        int256 expiryMs;
        int256 lotNanoCoin;
        uint256 epoch;
    }

    function kind() public pure override returns (uint256) {
        return 2;
    }

    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        if (!PayloadReader.rows(run.body, run.end)) return (RejectionCodes.MALFORMED, 0);
        return (0, Weights.rows(run.length, PayloadReader.read8(run.body + COUNT)));
    }

    function _execute(Run memory run) internal pure override returns (uint256) {
        uint256 number = PayloadReader.read(run.body, 2);
        Cell memory underlying = run.state.underlyings.find(number);
        if (underlying.length == 0) return RejectionCodes.ROWS_UNKNOWN_UNDERLYING;
        uint256 open = underlying.data + Cells.UNDERLYING_EPOCH_OPEN;
        if (Cells.read8(open) == 0) return RejectionCodes.ROWS_EPOCH_NOT_OPEN;
        Pricing memory pricing = _pricing(run, underlying);
        for (uint256 offset = run.body + INSTRUMENTS; offset < run.end; offset += 3) {
            Cell memory instrument = run.state.instruments.find(PayloadReader.read(offset, 3));
            uint256 code = _price(pricing, instrument, number);
            if (code != 0) return code;
        }
        if (PayloadReader.read8(run.body + CLOSES_EPOCH) != 0) Cells.write8(open, 0);
        return 0;
    }

    function _pricing(Run memory run, Cell memory underlying) private pure returns (Pricing memory pricing) {
        bool isValid;
        (isValid, pricing.risk) = RiskParametersDecoder.decode(run.parameters.risk, run.parameters.riskLength);
        // Not a revert on the payload: parameters with the hash of the state's globals are valid.
        if (!isValid) revert ParameterReader.ParametersMalformed();
        pricing.market = ScenarioRows.marketOf(underlying.data);
        pricing.row = new int256[](Limits.ROW_LENGTH);
        pricing.expiryMs = -1;
        pricing.epoch = Cells.read(underlying.data, 8);
    }

    function _price(Pricing memory pricing, Cell memory instrument, uint256 underlying) private pure returns (uint256) {
        uint256 data = instrument.data;
        if (instrument.length == 0 || Cells.read(data + Cells.INSTRUMENT_UNDERLYING, 2) != underlying) {
            return RejectionCodes.ROWS_INSTRUMENT_NOT_OF_UNDERLYING;
        }
        if (Cells.read8(data + Cells.INSTRUMENT_STATUS) != Cells.STATUS_LISTED) {
            return RejectionCodes.ROWS_INSTRUMENT_NOT_LISTED;
        }
        uint256 refusal = _prepare(pricing, data);
        if (refusal == ScenarioRows.REFUSED_NO_SURFACE) return RejectionCodes.ROWS_NO_SURFACE;
        uint256 instrumentKind = Cells.read8(data);
        if (refusal == ScenarioRows.REFUSED_NONE) {
            int256 strike = Cells.readSigned64(data + Cells.INSTRUMENT_STRIKE);
            refusal = ScenarioRows.price(pricing.pricer, pricing.risk, instrumentKind, strike, pricing.row);
        }
        if (refusal != ScenarioRows.REFUSED_NONE) return RejectionCodes.ROWS_OUTSIDE_PRICING_DOMAIN;
        (bool isPriced, LotCharges memory charges) =
            ScenarioRows.lotChargesOf(pricing.risk, instrumentKind, pricing.lotNanoCoin, pricing.market.index);
        if (!isPriced) return RejectionCodes.ROWS_OUTSIDE_PRICING_DOMAIN;
        _write(pricing, data, charges);
        return 0;
    }

    function _prepare(Pricing memory pricing, uint256 instrument) private pure returns (uint256) {
        int256 expiryMs = Cells.readSigned64(instrument + Cells.INSTRUMENT_EXPIRY_MS);
        int256 lotNanoCoin = Cells.readSigned64(instrument + Cells.INSTRUMENT_LOT_NANO_COIN);
        if (expiryMs == pricing.expiryMs && lotNanoCoin == pricing.lotNanoCoin) return ScenarioRows.REFUSED_NONE;
        pricing.expiryMs = expiryMs;
        pricing.lotNanoCoin = lotNanoCoin;
        return ScenarioRows.prepare(pricing.pricer, pricing.risk, pricing.market, expiryMs, lotNanoCoin);
    }

    function _write(Pricing memory pricing, uint256 data, LotCharges memory charges) private pure {
        uint256 row = data + Cells.INSTRUMENT_ROW;
        for (uint256 s = 0; s < Limits.ROW_LENGTH; ++s) {
            // Beyond the scenarios the row stays zero.
            Cells.write(row + Cells.ROW_VALUE_BYTES * s, Cells.ROW_VALUE_BYTES, uint256(pricing.row[s]));
        }
        Cells.write(data + Cells.INSTRUMENT_SHORT_ADD_ON, 5, uint256(charges.shortAddOn));
        Cells.write(data + Cells.INSTRUMENT_LONG_ADD_ON, 5, uint256(charges.longAddOn));
        Cells.write(data + Cells.INSTRUMENT_CONCENTRATION_ADD_ON, 5, uint256(charges.concentrationAddOn));
        Cells.write(data + Cells.INSTRUMENT_FEE_PER_LOT, 5, uint256(charges.feePerLot));
        Cells.write(data + Cells.INSTRUMENT_ROW_EPOCH, 8, pricing.epoch);
        Cells.write(data + Cells.INSTRUMENT_ROW_TIME_MS, 8, uint256(pricing.market.reportMs));
    }
}
