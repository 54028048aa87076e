// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {Cell, StateWitness} from "../lib/StateWitness.sol";
import {Run} from "./CycleRule.sol";

/// @title Slots of an account's order ring
library RingSlots {
    /// @notice For what is used once (withdrawals, bids, forced closes): not even the same digest may have its nonce again, and
    /// a lower nonce keeps its slot while receipts rest on it.
    function isTaken(Run memory run, Cell memory slot, uint256 nonce) internal pure returns (bool) {
        if (slot.length == 0) return false;
        return
            Cells.read(slot.data, 6) >= nonce || Cells.read(slot.data + Cells.RING_RECEIPT_DEADLINE_MS, 8) >= run.timeMs;
    }

    /// @notice Writes the slot, under receipts for the receipt period.
    function write(Run memory run, Cell memory slot, uint256 nonce, bytes32 hash, uint256 lots, int256 cash)
        internal
        pure
    {
        if (slot.length == 0) {
            slot.data = StateWitness.allocate(Cells.RING_BYTES);
            slot.length = Cells.RING_BYTES;
        }
        Cells.write(slot.data, 6, nonce);
        Cells.writeWord(slot.data + Cells.RING_ORDER_HASH, hash);
        Cells.write(slot.data + Cells.RING_FILLED_LOTS, 4, lots);
        Cells.writeSigned64(slot.data + Cells.RING_FILLED_CASH, cash);
        Cells.write(slot.data + Cells.RING_RECEIPT_DEADLINE_MS, 8, run.timeMs + run.parameters.receiptPeriodMs);
    }
}
