// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {Cell, State, StateWitness} from "../lib/StateWitness.sol";

/// @title Payments to the outbox, and what keeps them from being made
/// @notice packages/ledger/src/draft.ts (appendOutbox) and kinds/outbound.ts.
library OutboxWriter {
    using StateWitness for *;

    uint256 private constant OUTBOX_COUNT_MAX = 2 ** 32 - 1;

    function isFull(State memory state) internal pure returns (bool) {
        return Cells.read(state.globals + Cells.GLOBALS_OUTBOX_COUNT, 4) >= OUTBOX_COUNT_MAX;
    }

    /// @notice Appends a payment of asset 0. `account` u24, `amount` below 2^53.
    function append(State memory state, uint256 account, uint256 amount, uint256 chainId, address recipient)
        internal
        pure
    {
        uint256 globals = state.globals;
        uint256 number = Cells.read(globals + Cells.GLOBALS_OUTBOX_COUNT, 4);
        Cell memory cell = state.outbox.find(number);
        // Nothing is beyond outboxCount in a valid state.
        if (cell.length > 0) revert StateWitness.WitnessMalformed();
        cell.data = StateWitness.allocate(Cells.OUTBOX_BYTES);
        cell.length = Cells.OUTBOX_BYTES;
        Cells.write(cell.data, 3, account);
        Cells.write(cell.data + 3, 2, 0);
        Cells.write(cell.data + 5, 8, amount);
        Cells.write(cell.data + 13, 8, chainId);
        Cells.writeAddress(cell.data + 21, recipient);
        Cells.write(globals + Cells.GLOBALS_OUTBOX_COUNT, 4, number + 1);
        uint256 total = globals + Cells.GLOBALS_OUTBOX_TOTAL;
        Cells.write(total, 8, Cells.read(total, 8) + amount);
    }

    /// @notice Losses that nobody has paid yet exceed what the insurance can pay.
    function hasBadDebt(State memory state) internal pure returns (bool) {
        Cell memory insurance = state.accounts.find(Limits.INSURANCE_ACCOUNT);
        int256 cash = insurance.length == 0 ? int256(0) : Cells.cash(insurance.data);
        return Cells.readSigned64(state.globals + Cells.GLOBALS_BAD_DEBT) > cash;
    }

    /// @notice The outbox never promises more than came in.
    function isInVault(State memory state, uint256 amount) internal pure returns (bool) {
        int256 inbound = Cells.readSigned64(state.globals + Cells.GLOBALS_INBOUND_TOTAL);
        int256 outbox = Cells.readSigned64(state.globals + Cells.GLOBALS_OUTBOX_TOTAL);
        return int256(amount) <= inbound - outbox;
    }
}
