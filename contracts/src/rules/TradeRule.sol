// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccountList} from "../lib/AccountList.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Weights} from "../lib/Weights.sol";
import {CycleRule, Run} from "./CycleRule.sol";
import {CycleSums, TradeAccounts} from "./TradeAccounts.sol";
import {TradeChecks} from "./TradeChecks.sol";

/// @title trade: per account and order the netted fills of one cycle
/// @notice packages/ledger/src/kinds/trade.ts. Open epochs (404), exposure (415), usable marks (420) and margin (421) are
/// shown at one account, everything else by execution.
contract TradeRule is CycleRule {
    function kind() public pure override returns (uint256) {
        return 3;
    }

    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        Weights.Trade memory weights = Weights.emptyTrade();
        if (PayloadReader.tradeAccounts(run.body, run.end, weights) != run.end) return (RejectionCodes.MALFORMED, 0);
        return (0, Weights.trade(weights, run.length));
    }

    function _execute(Run memory run) internal view override returns (uint256) {
        CycleSums memory sums;
        return TradeAccounts.settleAll(run, run.body, sums);
    }

    function _accounts(Run memory run) internal pure override returns (uint256[] memory accounts) {
        accounts = AccountList.empty(PayloadReader.read8(run.body));
        TradeChecks.addAccounts(run.body, accounts);
    }

    function _check(Run memory run, uint256 account) internal view override returns (uint256) {
        return TradeChecks.codeAt(run, run.body, account);
    }
}
