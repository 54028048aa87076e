// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {RejectionCodes} from "../lib/RejectionCodes.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {WaterfallPayloads} from "../lib/WaterfallPayloads.sol";
import {Weights} from "../lib/Weights.sol";
import {CycleRule, Run} from "./CycleRule.sol";

/// @title bankruptcy: the insurance pays for accounts without positions that are below zero
/// @notice packages/ledger/src/kinds/bankruptcy.ts.
contract BankruptcyRule is CycleRule {
    using StateWitness for *;

    function kind() public pure override returns (uint256) {
        return 6;
    }

    function _decode(Run memory run) internal pure override returns (uint256 code, uint256 weight) {
        if (!WaterfallPayloads.bankruptcy(run.body, run.end)) return (RejectionCodes.MALFORMED, 0);
        return (0, Weights.bankruptcy(run.length, PayloadReader.read8(run.body)));
    }

    function _execute(Run memory run) internal pure override returns (uint256 code) {
        for (uint256 item = run.body + 1; item < run.end; item += 3) {
            code = _pay(run, run.state.accounts.find(PayloadReader.read(item, 3)));
            if (code != 0) return code;
        }
    }

    function _pay(Run memory run, Cell memory account) private pure returns (uint256) {
        if (account.length == 0 || account.index <= Limits.INSURANCE_ACCOUNT) {
            return RejectionCodes.BANKRUPTCY_UNKNOWN_ACCOUNT;
        }
        if (Cells.positionCount(account.data) != 0) return RejectionCodes.BANKRUPTCY_HAS_POSITIONS;
        int256 amount = -Cells.cash(account.data);
        if (amount <= 0) return RejectionCodes.BANKRUPTCY_NOT_NEGATIVE;
        Cell memory insurance = run.state.accounts.find(Limits.INSURANCE_ACCOUNT);
        // The insurance exists in every valid state.
        if (insurance.length == 0) revert StateWitness.CellMissing(Limits.INSURANCE_ACCOUNT);
        int256 cash = Cells.cash(insurance.data);
        if (cash <= 0) return RejectionCodes.BANKRUPTCY_INSURANCE_EXHAUSTED;
        if (cash < amount) amount = cash;
        // Both move towards zero: no bound is near.
        Cells.addCash(insurance.data, -amount);
        Cells.addCash(account.data, amount);
        return 0;
    }
}
