// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccountList} from "../lib/AccountList.sol";
import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {Margin, MarginFigures} from "../lib/Margin.sol";
import {ParameterReader} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Weights} from "../lib/Weights.sol";
import {CycleRule, Run} from "./CycleRule.sol";
import {CycleSums, TradeAccounts} from "./TradeAccounts.sol";
import {TradeChecks} from "./TradeChecks.sol";

/// @title liquidation: unsigned reducing orders of an account below maintenance against signed orders of others
/// @notice packages/ledger/src/kinds/liquidation.ts. What needs marks (502 … 504, 506 … 510) and exposure are shown at the
/// liquidated account, what trades show at one account at the counterparties, everything else by execution.
contract LiquidationRule is CycleRule {
    using StateWitness for *;

    // Of the body.
    uint256 private constant POSITION_COUNT = 3;
    uint256 private constant LEG_COUNT = 4;
    uint256 private constant LEGS = 5;
    // Of a leg.
    uint256 private constant LEG_SIZE = 3;
    uint256 private constant LEG_CASH = 7;
    uint256 private constant LEG_FEE = 15;
    /// @dev Marks the instruments of the legs; counterparties are marked 1 to 255.
    uint256 private constant LEG_MARK = 256;
    uint256 private constant BILLION = 1e9;

    function kind() public pure override returns (uint256) {
        return 4;
    }

    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        Weights.Trade memory weights = Weights.emptyTrade();
        if (PayloadReader.liquidation(run.body, run.end, weights) == 0) return (RejectionCodes.MALFORMED, 0);
        return (0, Weights.liquidation(weights, PayloadReader.read8(run.body + POSITION_COUNT), run.length));
    }

    /// @dev Calldata offset of the counterparties, where the legs end.
    function _legsEnd(Run memory run) private pure returns (uint256) {
        return run.body + LEGS + PayloadReader.LIQUIDATION_LEG_BYTES * PayloadReader.read8(run.body + LEG_COUNT);
    }

    function _execute(Run memory run) internal view override returns (uint256 code) {
        uint256 number = PayloadReader.read(run.body, 3);
        Cell memory account = run.state.accounts.find(number);
        code = _accountCode(run, account);
        if (code == 0) code = _reducingCode(run, account);
        if (code != 0) return code;
        (bool isWithin, int256 penalties, int256 cash) = _settleLegs(run, account, false);
        if (!isWithin) return RejectionCodes.TRADE_BOUNDS;
        Cell memory insurance = run.state.accounts.find(Limits.INSURANCE_ACCOUNT);
        // The insurance exists in every valid state.
        if (insurance.length == 0) revert StateWitness.CellMissing(Limits.INSURANCE_ACCOUNT);
        if (!Cells.addCash(insurance.data, penalties)) return RejectionCodes.TRADE_BOUNDS;
        uint256 counterparties = _legsEnd(run);
        (bool isOwn,) = TradeChecks.find(counterparties, number);
        if (isOwn) return RejectionCodes.LIQUIDATION_SELF_COUNTERPARTY;
        return TradeAccounts.settleAll(run, counterparties, CycleSums(cash, 0));
    }

    function _check(Run memory run, uint256 account) internal view override returns (uint256 code) {
        if (PayloadReader.read(run.body, 3) != account) return TradeChecks.codeAt(run, _legsEnd(run), account);
        Cell memory cell = run.state.accounts.find(account);
        code = _accountCode(run, cell);
        if (code != 0) return code;
        // Settling moves the cell to new memory before it writes: `start` keeps the bytes of the start.
        uint256 start = cell.data;
        MarginFigures memory before = Margin.figuresOf(run.state, start, run.parameters, run.timeMs);
        code = _startCode(run, start, before);
        if (code == 0) code = _reducingCode(run, cell);
        if (code == 0) code = _legsCode(run);
        if (code != 0) return code;
        uint256 length = cell.length;
        (bool isWithin,,) = _settleLegs(run, cell, true);
        if (!isWithin || TradeChecks.isExposureBroken(run, start, cell.data)) return RejectionCodes.TRADE_BOUNDS;
        MarginFigures memory afterwards = Margin.figuresOf(run.state, cell.data, run.parameters, run.timeMs);
        if (afterwards.equity - afterwards.maintenance <= before.equity - before.maintenance) {
            return RejectionCodes.LIQUIDATION_NOT_IMPROVING;
        }
        if (_isBeyondTarget(run, start, length, before)) return RejectionCodes.LIQUIDATION_BEYOND_TARGET;
        (bool isOwn,) = TradeChecks.find(_legsEnd(run), account);
        return isOwn ? RejectionCodes.LIQUIDATION_SELF_COUNTERPARTY : 0;
    }

    function _accounts(Run memory run) internal pure override returns (uint256[] memory accounts) {
        uint256 counterparties = _legsEnd(run);
        accounts = AccountList.empty(PayloadReader.read8(counterparties) + 1);
        TradeChecks.addAccounts(counterparties, accounts);
        AccountList.add(accounts, PayloadReader.read(run.body, 3));
    }

    // ── account ────────────────────────────────────────────────────────────────────────────────────────────────────

    function _accountCode(Run memory run, Cell memory account) private pure returns (uint256) {
        if (account.length == 0 || account.index <= Limits.INSURANCE_ACCOUNT) {
            return RejectionCodes.LIQUIDATION_UNKNOWN_ACCOUNT;
        }
        bool isDeclared = Cells.positionCount(account.data) == PayloadReader.read8(run.body + POSITION_COUNT);
        return isDeclared ? 0 : RejectionCodes.LIQUIDATION_POSITION_COUNT;
    }

    function _startCode(Run memory run, uint256 start, MarginFigures memory before) private pure returns (uint256) {
        if (!before.marksUsable) return RejectionCodes.LIQUIDATION_MARKS_UNUSABLE;
        if (before.equity + before.credit >= before.maintenance) return RejectionCodes.LIQUIDATION_HEALTHY;
        return _hasNewerReport(run, start) ? 0 : RejectionCodes.LIQUIDATION_NO_NEWER_REPORT;
    }

    /// @dev One slice a report: an underlying of a position was reported since the last liquidation.
    function _hasNewerReport(Run memory run, uint256 start) private pure returns (bool) {
        uint256 fields = Cells.tail(start);
        uint256 liquidationMs = Cells.read(fields + Cells.TAIL_LIQUIDATION_MS, 8);
        uint256 position = fields + Cells.TAIL_POSITIONS;
        uint256 end = position + Cells.POSITION_BYTES * Cells.positionCount(start);
        for (; position < end; position += Cells.POSITION_BYTES) {
            uint256 underlying = _underlyingOf(run, run.state.instruments.find(Cells.read(position, 3)));
            if (Cells.read(underlying + Cells.UNDERLYING_REPORT_MS, 8) > liquidationMs) return true;
        }
        return false;
    }

    function _underlyingOf(Run memory run, Cell memory instrument) private pure returns (uint256) {
        uint256 number = Cells.read(instrument.data + Cells.INSTRUMENT_UNDERLYING, 2);
        Cell memory underlying = run.state.underlyings.find(number);
        // An instrument's underlying exists in every valid state.
        if (underlying.length == 0) revert StateWitness.CellMissing(number);
        return underlying.data;
    }

    // ── legs ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev 505: every leg reduces its own position in something that trades.
    function _reducingCode(Run memory run, Cell memory account) private pure returns (uint256) {
        uint256 end = _legsEnd(run);
        for (uint256 leg = run.body + LEGS; leg < end; leg += PayloadReader.LIQUIDATION_LEG_BYTES) {
            Cell memory instrument = run.state.instruments.find(PayloadReader.read(leg, 3));
            if (instrument.length == 0 || instrument.mark == LEG_MARK || !Cells.isTradable(instrument.data, run.timeMs))
            {
                return RejectionCodes.LIQUIDATION_NOT_REDUCING;
            }
            instrument.mark = LEG_MARK;
            int256 size = PayloadReader.readSigned32(leg + LEG_SIZE);
            (uint256 position, bool isHeld) = Cells.findPosition(account.data, instrument.index);
            if (!isHeld || size == 0) return RejectionCodes.LIQUIDATION_NOT_REDUCING;
            int256 held = Cells.readSigned32(position + Cells.POSITION_SIZE);
            if ((size > 0) == (held > 0) || Cells.absolute(size) > Cells.absolute(held)) {
                return RejectionCodes.LIQUIDATION_NOT_REDUCING;
            }
        }
        return 0;
    }

    /// @dev 506 … 508, each over all legs before the next.
    function _legsCode(Run memory run) private pure returns (uint256) {
        uint256 end = _legsEnd(run);
        bool isPenaltyBroken = false;
        uint256 slice = 0;
        uint256 lots = 0;
        for (uint256 leg = run.body + LEGS; leg < end; leg += PayloadReader.LIQUIDATION_LEG_BYTES) {
            Cell memory instrument = run.state.instruments.find(PayloadReader.read(leg, 3));
            uint256 index = Cells.read(_underlyingOf(run, instrument) + Cells.UNDERLYING_INDEX, 8);
            // Index and lot are below 2^64, sizes below 2^31, shares below 2^30.
            uint256 value = index * Cells.read(instrument.data + Cells.INSTRUMENT_LOT_NANO_COIN, 8);
            int256 size = PayloadReader.readSigned32(leg + LEG_SIZE);
            uint256 bound = _shareCeil(run, value, ParameterReader.LIQUIDATION_BOUND_PPB);
            if (PayloadReader.readSigned64(leg + LEG_CASH) < _leastCash(instrument, size, int256(bound))) {
                return RejectionCodes.LIQUIDATION_PRICE_BOUND;
            }
            uint256 penalty = _shareCeil(run, value, ParameterReader.LIQUIDATION_PENALTY_PPB);
            uint256 sizeLots = Cells.absolute(size);
            if (PayloadReader.read(leg + LEG_FEE, 6) > sizeLots * penalty) isPenaltyBroken = true;
            slice += sizeLots * (value / BILLION);
            lots += sizeLots;
        }
        if (isPenaltyBroken) return RejectionCodes.LIQUIDATION_PENALTY;
        int256 sliceMax = ParameterReader.scalar(run.parameters, ParameterReader.LIQUIDATION_SLICE_MICRO_USDC);
        return lots > 1 && slice > uint256(sliceMax) ? RejectionCodes.LIQUIDATION_SLICE : 0;
    }

    /// @dev Ceil: what the account may be asked to bear.
    function _shareCeil(Run memory run, uint256 value, uint256 place) private pure returns (uint256) {
        uint256 share = uint256(ParameterReader.scalar(run.parameters, place));
        return (value * share + BILLION * BILLION - 1) / (BILLION * BILLION);
    }

    /// @dev |size|·(mark ∓ bound), and never a negative price: no value of a row is below 0.
    function _leastCash(Cell memory instrument, int256 size, int256 bound) private pure returns (int256) {
        int256 mark = int256(Cells.rowValue(instrument.data, 0));
        if (size > 0) return -size * (mark + bound);
        return mark > bound ? -size * (mark - bound) : int256(0);
    }

    /// @dev The liquidated account's side. `isAlone`: clearing accounts are left, as they also depend on other accounts.
    function _settleLegs(Run memory run, Cell memory account, bool isAlone)
        private
        pure
        returns (bool isWithin, int256 penalties, int256 cash)
    {
        uint256 end = _legsEnd(run);
        // Positions only shrink; the move keeps the bytes of the start.
        account.grow(0);
        int256 funding = 0;
        for (uint256 leg = run.body + LEGS; leg < end; leg += PayloadReader.LIQUIDATION_LEG_BYTES) {
            Cell memory instrument = run.state.instruments.find(PayloadReader.read(leg, 3));
            instrument.lots = PayloadReader.readSigned32(leg + LEG_SIZE);
            instrument.lotsTotal += instrument.lots;
            int256 realised;
            (isWithin, realised) = TradeAccounts.settlePosition(account, instrument, isAlone);
            if (!isWithin) return (false, 0, 0);
            funding += realised;
            cash += PayloadReader.readSigned64(leg + LEG_CASH);
            penalties += int256(PayloadReader.read(leg + LEG_FEE, 6));
        }
        isWithin = Cells.addCash(account.data, cash - penalties + funding);
        Cells.write(Cells.tail(account.data) + Cells.TAIL_LIQUIDATION_MS, 8, run.timeMs);
    }

    // ── target ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev Whether the legs without their last lot would already have reached the target. The last leg's cash and fee are
    /// shared per lot, cash rounded up and fee down: the account gets the doubt. Cash is kept apart: one lot short of the
    /// cycle's end it may lie outside the bound of a cell.
    function _isBeyondTarget(Run memory run, uint256 start, uint256 length, MarginFigures memory before)
        private
        pure
        returns (bool)
    {
        Cell memory trial;
        trial.data = start;
        trial.length = length;
        trial.grow(0);
        Cells.writeSigned64(Cells.tail(trial.data) + Cells.TAIL_CASH, 0);
        int256 cash = before.cash;
        uint256 last = _legsEnd(run) - PayloadReader.LIQUIDATION_LEG_BYTES;
        for (uint256 leg = run.body + LEGS; leg <= last; leg += PayloadReader.LIQUIDATION_LEG_BYTES) {
            Cell memory instrument = run.state.instruments.find(PayloadReader.read(leg, 3));
            int256 size = PayloadReader.readSigned32(leg + LEG_SIZE);
            int256 legCash = PayloadReader.readSigned64(leg + LEG_CASH);
            int256 fee = int256(PayloadReader.read(leg + LEG_FEE, 6));
            if (leg == last) {
                int256 lots = size > 0 ? size : -size;
                legCash = -_divFloor(-legCash * (lots - 1), lots);
                fee = fee * (lots - 1) / lots;
                size -= size > 0 ? int256(1) : int256(-1);
            }
            instrument.lots = size;
            (, int256 funding) = TradeAccounts.settlePosition(trial, instrument, true);
            cash += legCash - fee + funding;
        }
        MarginFigures memory figures = Margin.figuresOf(run.state, trial.data, run.parameters, run.timeMs);
        return figures.equity + cash + before.credit >= figures.initial;
    }

    /// @dev divisor > 0.
    function _divFloor(int256 value, int256 divisor) private pure returns (int256 quotient) {
        quotient = value / divisor;
        if (value < 0 && quotient * divisor != value) quotient -= 1;
    }
}
