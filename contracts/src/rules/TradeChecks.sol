// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccountList} from "../lib/AccountList.sol";
import {Limits} from "../lib/Limits.sol";
import {Margin, MarginFigures} from "../lib/Margin.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Run} from "./CycleRule.sol";
import {CycleSums, TradeAccounts} from "./TradeAccounts.sol";

/// @title The rule of a trade at one account
/// @notice All of the account's checks of packages/ledger/src/kinds/trade.ts in their order, marks and margin included.
library TradeChecks {
    using StateWitness for *;
    using AccountList for uint256[];

    /// @notice Looks for `account` among the accounts at calldata offset `offset` (count u8, accounts…): 0 when it is not there.
    function codeAt(Run memory run, uint256 offset, uint256 account) internal view returns (uint256) {
        (bool isNamed, uint256 found) = find(offset, account);
        return isNamed ? _accountCode(run, found, account) : 0;
    }

    function find(uint256 offset, uint256 account) internal pure returns (bool isNamed, uint256 found) {
        uint256 count = PayloadReader.read8(offset);
        found = offset + 1;
        for (uint256 place = 0; place < count; ++place) {
            if (PayloadReader.read(found, 3) == account) return (true, found);
            found = TradeAccounts.skip(found);
        }
    }

    /// @notice Adds the accounts at calldata offset `offset` (count u8, accounts…), which has room for them.
    function addAccounts(uint256 offset, uint256[] memory accounts) internal pure {
        uint256 count = PayloadReader.read8(offset);
        offset += 1;
        for (uint256 place = 0; place < count; ++place) {
            accounts.add(PayloadReader.read(offset, 3));
            offset = TradeAccounts.skip(offset);
        }
    }

    function _accountCode(Run memory run, uint256 offset, uint256 account) private view returns (uint256 code) {
        Cell memory cell = run.state.accounts.find(account);
        // Settling moves the cell to new memory before it writes: `start` keeps the bytes of the start.
        uint256 start = cell.data;
        CycleSums memory sums;
        (code,) = TradeAccounts.settle(run, offset, 0, sums, true);
        bool isSettled = code == 0 || code == RejectionCodes.TRADE_REDUCE_ONLY;
        // Exposure above its bound is refused only where it grows, before positions and reduce-only are looked at.
        if ((isSettled || code == RejectionCodes.TRADE_POSITIONS_FULL) && isExposureBroken(run, start, cell.data)) {
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

    function isExposureBroken(Run memory run, uint256 start, uint256 current) internal pure returns (bool) {
        uint256 exposure = Margin.exposureOf(run.state, current);
        return exposure >= Limits.EXPOSURE_BOUND && exposure > Margin.exposureOf(run.state, start);
    }
}
