// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Cell, State} from "../lib/StateWitness.sol";

/// @title Finality credit of accounts and its total
/// @notice packages/ledger/src/kinds/credit.ts.
library Credits {
    /// @notice Gives an account without credit `amount` for the deposit at `queueIndex`.
    function grant(State memory state, Cell memory account, uint256 amount, uint256 queueIndex) internal pure {
        uint256 fields = Cells.tail(account.data);
        Cells.write(fields + Cells.TAIL_CREDIT, 8, amount);
        Cells.write(fields + Cells.TAIL_CREDIT_INDEX, 8, queueIndex);
        _addTotal(state, int256(amount));
    }

    /// @notice Takes the account's credit away, if it has any.
    function clear(State memory state, Cell memory account) internal pure {
        uint256 fields = Cells.tail(account.data);
        _addTotal(state, -Cells.credit(account.data));
        Cells.write(fields + Cells.TAIL_CREDIT, 8, 0);
        Cells.write(fields + Cells.TAIL_CREDIT_INDEX, 8, 0);
    }

    /// @dev The total is bounded by the rule of grants.
    function _addTotal(State memory state, int256 change) private pure {
        uint256 total = state.globals + Cells.GLOBALS_CREDIT_TOTAL;
        Cells.writeSigned64(total, Cells.readSigned64(total) + change);
    }
}
