// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {Margin, MarginFigures} from "../lib/Margin.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Weights} from "../lib/Weights.sol";
import {CycleRule, Run} from "./CycleRule.sol";
import {CycleSums, TradeAccounts} from "./TradeAccounts.sol";

/// @title trade: per account and order the netted fills of one cycle
/// @notice packages/ledger/src/kinds/trade.ts. Open epochs (404), exposure (415), usable marks (420) and margin (421) are
/// shown at one account, everything else by execution.
contract TradeRule is CycleRule {
    using StateWitness for *;

    function kind() public pure override returns (uint256) {
        return 3;
    }

    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        Weights.Trade memory weights = Weights.emptyTrade();
        if (PayloadReader.tradeAccounts(run.body, run.end, weights) != run.end) return (RejectionCodes.MALFORMED, 0);
        return (0, Weights.trade(weights, run.length));
    }

    function _execute(Run memory run) internal view override returns (uint256 code) {
        CycleSums memory sums;
        uint256 count = PayloadReader.read8(run.body);
        uint256 offset = run.body + 1;
        for (uint256 place = 0; place < count; ++place) {
            (code, offset) = TradeAccounts.settle(run, offset, place, sums, false);
            if (code != 0) return code;
        }
        code = TradeAccounts.sumsCode(run, sums);
        if (code != 0) return code;
        Cell memory treasury = run.state.accounts.find(Limits.TREASURY_ACCOUNT);
        // The treasury exists in every valid state.
        if (treasury.length == 0) revert StateWitness.CellMissing(Limits.TREASURY_ACCOUNT);
        return Cells.addCash(treasury.data, sums.fees) ? 0 : RejectionCodes.TRADE_BOUNDS;
    }

    function _check(Run memory run, uint256 account) internal view override returns (uint256 code) {
        uint256 count = PayloadReader.read8(run.body);
        uint256 offset = run.body + 1;
        uint256 place = 0;
        while (place < count && PayloadReader.read(offset, 3) != account) {
            offset = TradeAccounts.skip(offset);
            ++place;
        }
        if (place == count) return 0;
        return _checkAccount(run, account, offset);
    }

    function _checkAccount(Run memory run, uint256 account, uint256 offset) private view returns (uint256 code) {
        Cell memory cell = run.state.accounts.find(account);
        // Settling moves the cell to new memory before it writes: `start` keeps the bytes of the start.
        uint256 start = cell.data;
        CycleSums memory sums;
        (code,) = TradeAccounts.settle(run, offset, 0, sums, true);
        bool isSettled = code == 0 || code == RejectionCodes.TRADE_REDUCE_ONLY;
        // Exposure above its bound is refused only where it grows, before positions and reduce-only are looked at.
        if ((isSettled || code == RejectionCodes.TRADE_POSITIONS_FULL) && _isExposureBroken(run, start, cell.data)) {
            return RejectionCodes.TRADE_BOUNDS;
        }
        if (code != 0) return code;
        bool areMarksUsable = Margin.marksUsable(run.state, start, run.parameters, run.timeMs)
            && Margin.marksUsable(run.state, cell.data, run.parameters, run.timeMs);
        if (!areMarksUsable) return RejectionCodes.TRADE_MARKS_UNUSABLE;
        MarginFigures memory before = Margin.figuresOf(run.state, start, run.parameters, run.timeMs);
        MarginFigures memory afterwards = Margin.figuresOf(run.state, cell.data, run.parameters, run.timeMs);
        return Margin.ruleHolds(before, afterwards) ? 0 : RejectionCodes.TRADE_MARGIN;
    }

    function _isExposureBroken(Run memory run, uint256 start, uint256 current) private pure returns (bool) {
        uint256 exposure = Margin.exposureOf(run.state, current);
        return exposure >= Limits.EXPOSURE_BOUND && exposure > Margin.exposureOf(run.state, start);
    }
}
