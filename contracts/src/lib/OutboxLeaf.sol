// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {OutboxCell} from "../custody/OutboxCell.sol";
import {LittleEndian} from "./LittleEndian.sol";

/// @title The leaf of a withdrawal in the ledger's outbox tree
library OutboxLeaf {
    function hash(OutboxCell calldata cell) internal pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                LittleEndian.u24(cell.account),
                LittleEndian.u16(cell.asset),
                LittleEndian.u64(cell.amount),
                LittleEndian.u64(cell.destinationChain),
                cell.recipient
            )
        );
    }
}
