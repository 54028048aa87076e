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
import {WaterfallPayloads} from "../lib/WaterfallPayloads.sol";
import {Weights} from "../lib/Weights.sol";
import {CycleRule, Run} from "./CycleRule.sol";
import {TradeAccounts} from "./TradeAccounts.sol";

/// @title adl: holders of the other side take over a bankrupt account's position in the published order
/// @notice packages/ledger/src/kinds/adl.ts. The bankrupt account's marks and margin and the haircut (704 … 707) are shown at
/// that account, a counterparty's declared figures (714, 715) at the counterparty, and who was passed over (716, 717) at any
/// account that is not named; everything else by execution.
/// @dev A counterparty's figures are compared with another's as declared: no check needs the rows of two accounts.
contract AdlRule is CycleRule {
    using StateWitness for *;

    /// @dev Figures at or beyond it cannot be declared, so such an account is not ranked.
    int256 private constant FIGURE_LIMIT = 2 ** 53;

    function kind() public pure override returns (uint256) {
        return 7;
    }

    /// @notice No: any account of a state may have been passed over.
    function isBounded() external pure override returns (bool) {
        return false;
    }

    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        if (!WaterfallPayloads.adl(run.body, run.end)) return (RejectionCodes.MALFORMED, 0);
        uint256 counterparties = 0;
        for (uint256 item = _items(run); item < run.end; item += WaterfallPayloads.ADL_ITEM_BYTES) {
            counterparties += Weights.account(PayloadReader.read8(item + WaterfallPayloads.ADL_ITEM_POSITION_COUNT));
        }
        uint256 positionCount = PayloadReader.read8(run.body + WaterfallPayloads.ADL_POSITION_COUNT);
        return (0, Weights.adl(run.length, positionCount, counterparties));
    }

    function _accounts(Run memory run) internal pure override returns (uint256[] memory accounts) {
        accounts = AccountList.empty(1 + PayloadReader.read8(run.body + WaterfallPayloads.ADL_COUNT));
        AccountList.add(accounts, PayloadReader.read(run.body, 3));
        for (uint256 item = _items(run); item < run.end; item += WaterfallPayloads.ADL_ITEM_BYTES) {
            AccountList.add(accounts, PayloadReader.read(item, 3));
        }
    }

    // ── payload ────────────────────────────────────────────────────────────────────────────────────────────────────

    function _items(Run memory run) private pure returns (uint256) {
        return run.body + WaterfallPayloads.ADL_ITEMS;
    }

    function _instrument(Run memory run) private pure returns (uint256) {
        return PayloadReader.read(run.body + WaterfallPayloads.ADL_INSTRUMENT, 3);
    }

    function _haircut(Run memory run) private pure returns (uint256) {
        return PayloadReader.read(run.body + WaterfallPayloads.ADL_HAIRCUT, 5);
    }

    /// @dev With less equity nothing can be taken.
    function _leastEquity(Run memory run) private pure returns (uint256) {
        uint256 haircut = _haircut(run);
        return haircut > 0 ? haircut : 1;
    }

    function _equity(uint256 item) private pure returns (uint256) {
        return PayloadReader.read(item + WaterfallPayloads.ADL_ITEM_EQUITY, 8);
    }

    function _maintenance(uint256 item) private pure returns (uint256) {
        return PayloadReader.read(item + WaterfallPayloads.ADL_ITEM_MAINTENANCE, 8);
    }

    /// @dev Maintenance/equity descending, of equals the lower number first. All figures are below 2^53.
    function _ranksBefore(uint256 number, uint256 equity, uint256 maintenance, uint256 item)
        private
        pure
        returns (bool)
    {
        uint256 own = maintenance * _equity(item);
        uint256 other = _maintenance(item) * equity;
        return own > other || (own == other && number < PayloadReader.read(item, 3));
    }

    // ── account ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @dev Size of the account's position in the instrument; 0 for none.
    function _sizeOf(Run memory run, Cell memory account) private pure returns (int256) {
        (uint256 position, bool isHeld) = Cells.findPosition(account.data, _instrument(run));
        return isHeld ? Cells.readSigned32(position + Cells.POSITION_SIZE) : int256(0);
    }

    /// @dev 700 … 703.
    function _accountCode(Run memory run, Cell memory account) private pure returns (uint256) {
        if (account.length == 0 || account.index <= Limits.INSURANCE_ACCOUNT) {
            return RejectionCodes.ADL_UNKNOWN_ACCOUNT;
        }
        uint256 positionCount = PayloadReader.read8(run.body + WaterfallPayloads.ADL_POSITION_COUNT);
        if (Cells.positionCount(account.data) != positionCount) return RejectionCodes.ADL_POSITION_COUNT;
        uint256 auctionMs = Cells.read(Cells.tail(account.data) + Cells.TAIL_AUCTION_MS, 8);
        uint256 durationMs = uint256(ParameterReader.scalar(run.parameters, ParameterReader.AUCTION_DURATION_MS));
        bool isOver = auctionMs > 0 && auctionMs + durationMs <= run.timeMs && run.timeMs < auctionMs + 2 * durationMs;
        if (!isOver) return RejectionCodes.ADL_AUCTION_NOT_OVER;
        if (_sizeOf(run, account) == 0) return RejectionCodes.ADL_INSTRUMENT;
        // What is held exists in every valid state.
        Cell memory instrument = run.state.instruments.find(_instrument(run));
        if (instrument.length == 0) revert StateWitness.CellMissing(instrument.index);
        return Cells.isTradable(instrument.data, run.timeMs) ? 0 : RejectionCodes.ADL_INSTRUMENT;
    }

    /// @dev 704 … 707.
    function _bankruptCode(Run memory run, Cell memory account) private pure returns (uint256) {
        MarginFigures memory figures = Margin.figuresOf(run.state, account.data, run.parameters, run.timeMs);
        if (!figures.marksUsable) return RejectionCodes.ADL_MARKS_UNUSABLE;
        if (figures.equity >= 0) return RejectionCodes.ADL_NOT_BANKRUPT;
        Cell memory insurance = run.state.accounts.find(Limits.INSURANCE_ACCOUNT);
        // The insurance exists in every valid state.
        if (insurance.length == 0) revert StateWitness.CellMissing(Limits.INSURANCE_ACCOUNT);
        int256 cover = Cells.cash(insurance.data) - Cells.readSigned64(run.state.globals + Cells.GLOBALS_BAD_DEBT);
        if (cover < 0) cover = 0;
        if (cover >= -figures.equity) return RejectionCodes.ADL_INSURANCE_LEFT;
        uint256 deficit = uint256(-figures.equity - cover);
        uint256 mark = Cells.rowValue(run.state.instruments.find(_instrument(run)).data, 0);
        uint256 gross = Margin.grossOf(run.state, account.data);
        uint256 haircut = 0;
        if (gross > 0) {
            // Ceil: the counterparties bear the remainder. The deficit of any witness is below 2^100, a mark below 2^40.
            haircut = (deficit * mark + gross - 1) / gross;
            if (haircut > mark) haircut = mark;
        }
        return haircut == _haircut(run) ? 0 : RejectionCodes.ADL_HAIRCUT;
    }

    // ── execution ──────────────────────────────────────────────────────────────────────────────────────────────────

    function _execute(Run memory run) internal pure override returns (uint256 code) {
        Cell memory account = run.state.accounts.find(PayloadReader.read(run.body, 3));
        code = _accountCode(run, account);
        if (code != 0) return code;
        Cell memory instrument = run.state.instruments.find(_instrument(run));
        int256 size = _sizeOf(run, account);
        int256 mark = int256(Cells.rowValue(instrument.data, 0));
        int256 price = size > 0 ? mark + int256(_haircut(run)) : mark - int256(_haircut(run));
        uint256 left = Cells.absolute(size);
        for (uint256 item = _items(run); item < run.end; item += WaterfallPayloads.ADL_ITEM_BYTES) {
            Cell memory counterparty = run.state.accounts.find(PayloadReader.read(item, 3));
            uint256 lots;
            (code, lots) = _lots(run, counterparty, item, size, left);
            if (code != 0) return code;
            left -= lots;
            int256 taken = size > 0 ? int256(lots) : -int256(lots);
            if (!_move(counterparty, instrument, taken, price)) return RejectionCodes.ADL_BOUNDS;
        }
        int256 given = size > 0 ? int256(left) - size : -int256(left) - size;
        if (!_move(account, instrument, given, price)) return RejectionCodes.ADL_BOUNDS;
        uint256 fields = Cells.tail(account.data);
        if (Cells.read8(fields + Cells.TAIL_POSITION_COUNT) == 0) Cells.write(fields + Cells.TAIL_AUCTION_MS, 8, 0);
    }

    /// @dev 708 … 712, and what the counterparty takes.
    function _lots(Run memory run, Cell memory counterparty, uint256 item, int256 size, uint256 left)
        private
        pure
        returns (uint256 code, uint256 lots)
    {
        code = _counterpartyCode(run, counterparty, item, size);
        if (code != 0) return (code, 0);
        if (item > _items(run)) {
            uint256 previous = item - WaterfallPayloads.ADL_ITEM_BYTES;
            uint256 number = PayloadReader.read(previous, 3);
            if (!_ranksBefore(number, _equity(previous), _maintenance(previous), item)) {
                return (RejectionCodes.ADL_ORDER, 0);
            }
        }
        uint256 equity = _equity(item);
        if (left == 0 || equity < _leastEquity(run)) return (RejectionCodes.ADL_NOTHING_TO_TAKE, 0);
        lots = Cells.absolute(_sizeOf(run, counterparty));
        if (left < lots) lots = left;
        // Floor: a counterparty gives no more than its equity covers.
        uint256 haircut = _haircut(run);
        if (haircut > 0 && equity / haircut < lots) lots = equity / haircut;
    }

    /// @dev 708 … 710.
    function _counterpartyCode(Run memory run, Cell memory counterparty, uint256 item, int256 size)
        private
        pure
        returns (uint256)
    {
        uint256 number = counterparty.index;
        bool isKnown = counterparty.length > 0 && number > Limits.INSURANCE_ACCOUNT;
        if (!isKnown || number == PayloadReader.read(run.body, 3)) return RejectionCodes.ADL_UNKNOWN_COUNTERPARTY;
        uint256 positionCount = PayloadReader.read8(item + WaterfallPayloads.ADL_ITEM_POSITION_COUNT);
        if (Cells.positionCount(counterparty.data) != positionCount) {
            return RejectionCodes.ADL_COUNTERPARTY_POSITION_COUNT;
        }
        return _isOpposite(_sizeOf(run, counterparty), size) ? 0 : RejectionCodes.ADL_COUNTERPARTY_SIDE;
    }

    function _isOpposite(int256 one, int256 other) private pure returns (bool) {
        return one > 0 ? other < 0 : one < 0 && other > 0;
    }

    /// @dev Sizes only shrink: no position comes in. False where a bound of cash would be left.
    function _move(Cell memory account, Cell memory instrument, int256 lots, int256 price) private pure returns (bool) {
        instrument.lots = lots;
        (bool isWithin, int256 funding) = TradeAccounts.settlePosition(account, instrument, false);
        return isWithin && Cells.addCash(account.data, funding - lots * price);
    }

    // ── checks ─────────────────────────────────────────────────────────────────────────────────────────────────────

    function _check(Run memory run, uint256 number) internal pure override returns (uint256 code) {
        Cell memory account = run.state.accounts.find(PayloadReader.read(run.body, 3));
        if (number == account.index) {
            code = _accountCode(run, account);
            return code == 0 ? _bankruptCode(run, account) : code;
        }
        // Which side is the other one: shown by execution where there is none.
        int256 size = account.length > 0 ? _sizeOf(run, account) : int256(0);
        Cell memory holder = run.state.accounts.find(number);
        bool isNamed = false;
        for (uint256 item = _items(run); item < run.end; item += WaterfallPayloads.ADL_ITEM_BYTES) {
            if (PayloadReader.read(item, 3) != number) continue;
            isNamed = true;
            code = _counterpartyCode(run, holder, item, size);
            if (code != 0) return code;
        }
        return isNamed ? _figuresCode(run, holder) : _rankingCode(run, holder, size);
    }

    /// @dev 714 and 715, at each place at which the account is named.
    function _figuresCode(Run memory run, Cell memory holder) private pure returns (uint256) {
        MarginFigures memory figures = Margin.figuresOf(run.state, holder.data, run.parameters, run.timeMs);
        if (!figures.marksUsable) return RejectionCodes.ADL_COUNTERPARTY_MARKS_UNUSABLE;
        for (uint256 item = _items(run); item < run.end; item += WaterfallPayloads.ADL_ITEM_BYTES) {
            if (PayloadReader.read(item, 3) != holder.index) continue;
            bool isDeclared =
                figures.equity == int256(_equity(item)) && figures.maintenance == int256(_maintenance(item));
            if (!isDeclared) return RejectionCodes.ADL_FIGURES;
        }
        return 0;
    }

    /// @dev 716 and 717: a holder of the other side that is not named.
    function _rankingCode(Run memory run, Cell memory holder, int256 size) private pure returns (uint256) {
        if (holder.length == 0 || holder.index <= Limits.INSURANCE_ACCOUNT) return 0;
        if (!_isOpposite(_sizeOf(run, holder), size)) return 0;
        MarginFigures memory figures = Margin.figuresOf(run.state, holder.data, run.parameters, run.timeMs);
        if (!figures.marksUsable) return RejectionCodes.ADL_HOLDER_MARKS_UNUSABLE;
        bool isRanked = figures.equity >= int256(_leastEquity(run)) && figures.equity < FIGURE_LIMIT
            && figures.maintenance < FIGURE_LIMIT;
        if (!isRanked) return 0;
        uint256 last = run.end - WaterfallPayloads.ADL_ITEM_BYTES;
        bool isPassedOver = _ranksBefore(holder.index, uint256(figures.equity), uint256(figures.maintenance), last);
        return isPassedOver ? RejectionCodes.ADL_RANKING : 0;
    }
}
