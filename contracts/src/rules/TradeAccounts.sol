// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Run} from "./CycleRule.sol";
import {Entry, TradeEntries} from "./TradeEntries.sol";

/// @notice What must come out at zero over a whole cycle, and the fees that go to the treasury.
struct CycleSums {
    int256 cash;
    int256 fees;
}

/// @notice One account of a trade while its entries are settled.
struct Account {
    Cell cell;
    /// @dev Place in the cycle + 1: marks the instruments that this account touched.
    uint256 mark;
    int256 cashChange;
    uint256 touchedCount;
    /// @dev Memory address of the touched instruments' cells, one word each.
    uint256 touched;
    /// @dev Calldata offset of the next account.
    uint256 next;
}

/// @title One account's netted orders in one cycle
/// @notice settleTradeAccount of packages/ledger/src/kinds/trade.ts, also the counterparties' half of a liquidation. Margin and
/// exposure, which need the rows of all the account's positions, are the other face's.
library TradeAccounts {
    using StateWitness for *;

    uint256 private constant BUYS = 1;
    uint256 private constant SELLS = 2;
    uint256 private constant REDUCE_ONLY = 4;

    /// @notice Settles the account at calldata offset `offset`, `place` counting from 0.
    /// @param isAlone the witness holds what concerns this account: epochs are looked at, clearing accounts are not, as they
    /// also depend on the accounts before
    /// @return code rejection code, or 0
    /// @return next calldata offset of the next account
    function settle(Run memory run, uint256 offset, uint256 place, CycleSums memory sums, bool isAlone)
        internal
        view
        returns (uint256 code, uint256 next)
    {
        uint256 number = PayloadReader.read(offset, 3);
        Account memory account;
        account.cell = run.state.accounts.find(number);
        if (account.cell.length == 0 || number <= Limits.INSURANCE_ACCOUNT) {
            return (RejectionCodes.TRADE_UNKNOWN_ACCOUNT, 0);
        }
        if (Cells.positionCount(account.cell.data) != PayloadReader.read8(offset + 3)) {
            return (RejectionCodes.TRADE_POSITION_COUNT, 0);
        }
        account.mark = place + 1;
        account.next = offset + PayloadReader.TRADE_ACCOUNT_BYTES;
        account.touched = StateWitness.allocate(32 * run.state.instruments.cells.length);
        uint256 count = PayloadReader.read8(offset + 4);
        for (uint256 i = 0; i < count; ++i) {
            code = _settleEntry(run, account, sums, isAlone);
            if (code != 0) return (code, 0);
        }
        return (_settlePositions(account, isAlone), account.next);
    }

    function _settleEntry(Run memory run, Account memory account, CycleSums memory sums, bool isAlone)
        private
        view
        returns (uint256 code)
    {
        Entry memory entry = TradeEntries.read(account.next);
        account.next = entry.next;
        code = TradeEntries.settle(run, account.cell, entry, isAlone);
        if (code != 0) return code;
        unchecked {
            _addLegs(run, account, entry);
            int256 fee = int256(entry.fee);
            account.cashChange += entry.cash - fee;
            sums.cash += entry.cash;
            sums.fees += fee;
        }
    }

    /// @dev Lots of an entry's leg are below 2^31, and an account has at most 255 entries.
    function _addLegs(Run memory run, Account memory account, Entry memory entry) private pure {
        unchecked {
            int256 signedLots = entry.size > 0 ? int256(entry.filledLots) : -int256(entry.filledLots);
            uint256 flag = TradeEntries.isReduceOnly(entry) ? REDUCE_ONLY : 0;
            for (uint256 leg = 0; leg < entry.legCount; ++leg) {
                Cell memory cell = run.state.instruments.find(TradeEntries.legInstrument(entry, leg));
                int256 lots = signedLots * TradeEntries.legRatio(entry, leg);
                if (cell.mark != account.mark) _touch(account, cell);
                cell.lots += lots;
                cell.lotsTotal += lots;
                cell.sides |= flag | (lots > 0 ? BUYS : SELLS);
            }
        }
    }

    function _touch(Account memory account, Cell memory cell) private pure {
        uint256 slot = account.touched + 32 * account.touchedCount;
        account.touchedCount += 1;
        cell.mark = account.mark;
        cell.lots = 0;
        cell.sides = 0;
        assembly ("memory-safe") {
            mstore(slot, cell)
        }
    }

    function _touchedCell(Account memory account, uint256 i) private pure returns (Cell memory cell) {
        uint256 slot = account.touched + 32 * i;
        // The memory of the struct that is replaced goes back.
        assembly ("memory-safe") {
            mstore(0x40, cell)
            cell := mload(slot)
        }
    }

    /// @dev Bounds precede everything else that this step can refuse, so their order among the instruments does not matter.
    function _settlePositions(Account memory account, bool isAlone) private pure returns (uint256) {
        uint256 count = account.touchedCount;
        bool isBroken = _isReduceOnlyBroken(account);
        account.cell.grow(Cells.POSITION_BYTES * count);
        int256 change = account.cashChange;
        for (uint256 i = 0; i < count; ++i) {
            (bool isWithin, int256 funding) = settlePosition(account.cell, _touchedCell(account, i), isAlone);
            if (!isWithin) return RejectionCodes.TRADE_BOUNDS;
            change += funding;
        }
        if (!Cells.addCash(account.cell.data, change)) return RejectionCodes.TRADE_BOUNDS;
        if (Cells.positionCount(account.cell.data) > Limits.POSITIONS_MAX) return RejectionCodes.TRADE_POSITIONS_FULL;
        return isBroken ? RejectionCodes.TRADE_REDUCE_ONLY : 0;
    }

    /// @notice Realises funding of the account's position against clearing, then moves its size by the net lots. The number of
    /// positions fits its byte: a cycle within the weight limit brings at most 104 instruments to an account's 128.
    function settlePosition(Cell memory account, Cell memory instrument, bool isAlone)
        internal
        pure
        returns (bool isWithin, int256 funding)
    {
        (uint256 position, bool isHeld) = Cells.findPosition(account.data, instrument.index);
        int256 size = instrument.lots;
        if (isHeld) {
            funding = Cells.pendingFundingFloor(instrument.data, position);
            size += Cells.readSigned32(position + Cells.POSITION_SIZE);
        }
        if (size > Cells.INT32_MAX || size < -Cells.INT32_MAX) return (false, 0);
        if (!isAlone && !Cells.takeFromClearing(instrument.data, funding)) return (false, 0);
        uint256 count = Cells.tail(account.data) + Cells.TAIL_POSITION_COUNT;
        if (size == 0) {
            if (!isHeld) return (true, 0);
            account.remove(position, Cells.POSITION_BYTES);
            Cells.write8(count, Cells.read8(count) - 1);
            return (true, funding);
        }
        if (!isHeld) {
            account.insert(position, Cells.POSITION_BYTES);
            Cells.write(position, 3, instrument.index);
            Cells.write8(count, Cells.read8(count) + 1);
        }
        Cells.write(position + Cells.POSITION_SIZE, 4, uint256(size));
        int256 fundingIndex = Cells.readSigned64(instrument.data + Cells.INSTRUMENT_FUNDING_INDEX);
        Cells.writeSigned64(position + Cells.POSITION_FUNDING_INDEX, fundingIndex);
        return (true, funding);
    }

    /// @dev Every entry in a reduce-only instrument must reduce the position of the start, together at most to flat.
    function _isReduceOnlyBroken(Account memory account) private pure returns (bool) {
        for (uint256 i = 0; i < account.touchedCount; ++i) {
            Cell memory instrument = _touchedCell(account, i);
            if (instrument.sides & REDUCE_ONLY == 0) continue;
            (uint256 position, bool isHeld) = Cells.findPosition(account.cell.data, instrument.index);
            if (!isHeld) return true;
            int256 held = Cells.readSigned32(position + Cells.POSITION_SIZE);
            uint256 growing = held > 0 ? BUYS : SELLS;
            if (instrument.sides & growing != 0) return true;
            if (Cells.absolute(instrument.lots) > Cells.absolute(held)) return true;
        }
        return false;
    }

    /// @notice Settles the accounts at calldata offset `offset` (count u8, accounts…) but for margin, then the sums and the
    /// treasury. `sums` and the instruments' totals hold what else belongs to the cycle.
    function settleAll(Run memory run, uint256 offset, CycleSums memory sums) internal view returns (uint256 code) {
        uint256 count = PayloadReader.read8(offset);
        offset += 1;
        for (uint256 place = 0; place < count; ++place) {
            (code, offset) = settle(run, offset, place, sums, false);
            if (code != 0) return code;
        }
        code = _sumsCode(run, sums);
        if (code != 0) return code;
        Cell memory treasury = run.state.accounts.find(Limits.TREASURY_ACCOUNT);
        // The treasury exists in every valid state.
        if (treasury.length == 0) revert StateWitness.CellMissing(Limits.TREASURY_ACCOUNT);
        return Cells.addCash(treasury.data, sums.fees) ? 0 : RejectionCodes.TRADE_BOUNDS;
    }

    /// @notice Skips the account at `offset` and its entries.
    function skip(uint256 offset) internal pure returns (uint256 next) {
        uint256 count = PayloadReader.read8(offset + 4);
        next = offset + PayloadReader.TRADE_ACCOUNT_BYTES;
        for (uint256 i = 0; i < count; ++i) {
            next = TradeEntries.read(next).next;
        }
    }

    /// @dev 418 and 419 over the whole cycle.
    function _sumsCode(Run memory run, CycleSums memory sums) private pure returns (uint256) {
        Cell[] memory instruments = run.state.instruments.cells;
        for (uint256 i = 0; i < instruments.length; ++i) {
            if (instruments[i].lotsTotal != 0) return RejectionCodes.TRADE_SIZE_SUM;
        }
        return sums.cash == 0 ? 0 : RejectionCodes.TRADE_CASH_SUM;
    }
}
