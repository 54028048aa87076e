// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Weights} from "../lib/Weights.sol";
import {CycleRule, Run} from "./CycleRule.sol";
import {Quorum} from "./Quorum.sol";

/// @title expiry: a signed settlement price turns instruments into constants and their positions into cash
/// @notice packages/ledger/src/kinds/expiry.ts.
contract ExpiryRule is CycleRule {
    using StateWitness for *;

    uint256 private constant MICRO_USD_MAX = 2 ** 50 - 1;
    uint256 private constant NANO_PER_COIN = 1e9;
    uint256 private constant SCENARIO_COUNT = 39;

    // Of the body.
    uint256 private constant EXPIRY_MS = 2;
    uint256 private constant SETTLEMENT_PRICE = 10;
    uint256 private constant SIGNATURES = 18;

    function kind() public pure override returns (uint256) {
        return 8;
    }

    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        if (!PayloadReader.expiry(run.body, run.end)) return (RejectionCodes.MALFORMED, 0);
        return (0, _weight(run));
    }

    /// @dev Calldata offset of the instruments that are settled: count u8, then the numbers.
    function _settled(Run memory run) private pure returns (uint256) {
        uint256 offset = run.body + SIGNATURES;
        return offset + 1 + PayloadReader.QUORUM_SIGNATURE_BYTES * PayloadReader.read8(offset);
    }

    function _weight(Run memory run) private pure returns (uint256) {
        Weights.Trade memory weights = Weights.emptyTrade();
        uint256 offset = _settled(run);
        offset = _addInstruments(weights, offset);
        uint256 count = PayloadReader.read8(offset);
        uint256 accounts = 0;
        offset += 1;
        for (uint256 i = 0; i < count; ++i) {
            accounts += Weights.account(PayloadReader.read8(offset + 3));
            offset = _addInstruments(weights, offset + 4);
        }
        return Weights.expiry(run.length, accounts, weights.instruments);
    }

    function _addInstruments(Weights.Trade memory weights, uint256 offset) private pure returns (uint256 next) {
        next = offset + 1 + 3 * PayloadReader.read8(offset);
        for (uint256 i = offset + 1; i < next; i += 3) {
            Weights.addInstrument(weights, PayloadReader.read(i, 3));
        }
    }

    function _execute(Run memory run) internal view override returns (uint256) {
        uint256 body = run.body;
        Cell memory underlying = run.state.underlyings.find(PayloadReader.read(body, 2));
        if (underlying.length == 0) return RejectionCodes.EXPIRY_UNKNOWN_UNDERLYING;
        if (run.timeMs < PayloadReader.read(body + EXPIRY_MS, 8)) return RejectionCodes.EXPIRY_TOO_EARLY;
        if (Cells.read8(underlying.data + Cells.UNDERLYING_EPOCH_OPEN) != 0) return RejectionCodes.EXPIRY_EPOCH_OPEN;
        uint256 price = PayloadReader.read(body + SETTLEMENT_PRICE, 8);
        bytes32 structHash = keccak256(
            abi.encode(
                Signatures.SETTLEMENT_TYPE_HASH,
                run.parameters.domain,
                PayloadReader.read(body, 2),
                PayloadReader.read(body + EXPIRY_MS, 8),
                price
            )
        );
        if (!Quorum.signed(run.parameters, structHash, body + SIGNATURES)) return RejectionCodes.EXPIRY_BAD_QUORUM;
        if (price == 0 || price > MICRO_USD_MAX) return RejectionCodes.EXPIRY_BOUNDS;
        uint256 offset = _settled(run);
        uint256 next = offset + 1 + 3 * PayloadReader.read8(offset);
        for (uint256 i = offset + 1; i < next; i += 3) {
            uint256 code = _settle(run, run.state.instruments.find(PayloadReader.read(i, 3)), price);
            if (code != 0) return code;
        }
        return _realiseAll(run, next);
    }

    /// @dev Underlying u16 and expiryMs u64 are the first ten bytes of the body.
    function _isOfExpiry(Run memory run, Cell memory cell) private pure returns (bool) {
        if (cell.length == 0) return false;
        uint256 instrumentKind = Cells.read8(cell.data);
        return instrumentKind >= Cells.KIND_FUTURE && instrumentKind <= Cells.KIND_PUT
            && Cells.read(cell.data + Cells.INSTRUMENT_UNDERLYING, 2) == PayloadReader.read(run.body, 2)
            && Cells.read(cell.data + Cells.INSTRUMENT_EXPIRY_MS, 8) == PayloadReader.read(run.body + EXPIRY_MS, 8);
    }

    function _settle(Run memory run, Cell memory cell, uint256 price) private pure returns (uint256) {
        uint256 offset = cell.data;
        if (!_isOfExpiry(run, cell) || Cells.read8(offset + Cells.INSTRUMENT_STATUS) != Cells.STATUS_LISTED) {
            return RejectionCodes.EXPIRY_WRONG_INSTRUMENT;
        }
        uint256 strike = Cells.read(offset + Cells.INSTRUMENT_STRIKE, 8);
        uint256 instrumentKind = Cells.read8(offset);
        uint256 worth = price;
        if (instrumentKind == Cells.KIND_CALL) worth = price > strike ? price - strike : 0;
        else if (instrumentKind == Cells.KIND_PUT) worth = strike > price ? strike - price : 0;
        // Floor, the same integer for both sides. Both factors are below 2^64.
        uint256 perLot = worth * Cells.read(offset + Cells.INSTRUMENT_LOT_NANO_COIN, 8) / NANO_PER_COIN;
        if (perLot >= Limits.ROW_VALUE_BOUND) return RejectionCodes.EXPIRY_BOUNDS;
        Cells.write8(offset + Cells.INSTRUMENT_STATUS, Cells.STATUS_SETTLED);
        Cells.write(offset + Cells.INSTRUMENT_SETTLEMENT_PER_LOT, 8, perLot);
        for (uint256 s = 0; s < Limits.ROW_LENGTH; ++s) {
            uint256 value = s < SCENARIO_COUNT ? perLot : 0;
            Cells.write(offset + Cells.INSTRUMENT_ROW + Cells.ROW_VALUE_BYTES * s, Cells.ROW_VALUE_BYTES, value);
        }
        // The three add-ons and the fee.
        for (uint256 field = Cells.INSTRUMENT_SHORT_ADD_ON; field < Cells.INSTRUMENT_BYTES; field += 5) {
            Cells.write(offset + field, 5, 0);
        }
        return 0;
    }

    function _realiseAll(Run memory run, uint256 offset) private pure returns (uint256) {
        uint256 count = PayloadReader.read8(offset);
        offset += 1;
        for (uint256 i = 0; i < count; ++i) {
            uint256 number = PayloadReader.read(offset, 3);
            Cell memory account = run.state.accounts.find(number);
            if (account.length == 0 || number <= Limits.INSURANCE_ACCOUNT) {
                return RejectionCodes.EXPIRY_UNKNOWN_ACCOUNT;
            }
            if (Cells.positionCount(account.data) != PayloadReader.read8(offset + 3)) {
                return RejectionCodes.EXPIRY_POSITION_COUNT;
            }
            uint256 next = offset + 5 + 3 * PayloadReader.read8(offset + 4);
            for (offset += 5; offset < next; offset += 3) {
                uint256 code = _realise(run, account, PayloadReader.read(offset, 3));
                if (code != 0) return code;
            }
        }
        return 0;
    }

    function _realise(Run memory run, Cell memory account, uint256 number) private pure returns (uint256) {
        Cell memory instrument = run.state.instruments.find(number);
        (uint256 position, bool isHeld) = Cells.findPosition(account.data, number);
        bool isSettled = _isOfExpiry(run, instrument)
            && Cells.read8(instrument.data + Cells.INSTRUMENT_STATUS) == Cells.STATUS_SETTLED;
        if (!isSettled || !isHeld) return RejectionCodes.EXPIRY_WRONG_REALISATION;
        int256 size = Cells.readSigned32(position + Cells.POSITION_SIZE);
        int256 amount = size * int256(Cells.read(instrument.data + Cells.INSTRUMENT_SETTLEMENT_PER_LOT, 8));
        if (!Cells.addCash(account.data, amount) || !Cells.takeFromClearing(instrument.data, amount)) {
            return RejectionCodes.EXPIRY_BOUNDS;
        }
        uint256 clearing = instrument.data + Cells.INSTRUMENT_CLEARING_POSITION;
        Cells.writeSigned64(clearing, Cells.readSigned64(clearing) + size);
        account.remove(position, Cells.POSITION_BYTES);
        uint256 count = Cells.tail(account.data) + Cells.TAIL_POSITION_COUNT;
        Cells.write8(count, Cells.read8(count) - 1);
        return 0;
    }
}
