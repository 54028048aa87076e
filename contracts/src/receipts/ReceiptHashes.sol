// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {Signatures} from "../lib/Signatures.sol";
import {OrderTerms, Receipt} from "./IReceiptCourt.sol";

/// @title Hashes of receipts
/// @notice leaf = keccak256 of the receipt's 67 packed bytes, node = keccak256(lower ‖ higher) of its two children, an odd node
/// moves up unchanged. A node is the hash of 64 bytes, so no node is a leaf and the path needs no index.
library ReceiptHashes {
    bytes32 internal constant RECEIPTS_TYPE_HASH = keccak256("Receipts(uint32 domain,bytes32 root)");
    /// @dev A group has fewer than 2^32 receipts.
    uint256 internal constant PATH_MAX = 32;

    error PathTooLong(uint256 length);

    function leaf(Receipt calldata receipt) internal pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                receipt.kind,
                receipt.domain,
                receipt.account,
                receipt.orderHash,
                receipt.nonce,
                receipt.filledLots,
                receipt.filledCash,
                receipt.deadlineMs,
                receipt.tier
            )
        );
    }

    function root(bytes32 node, bytes32[] calldata path) internal pure returns (bytes32) {
        if (path.length > PATH_MAX) revert PathTooLong(path.length);
        for (uint256 height = 0; height < path.length; ++height) {
            node = Hashes.commutativeKeccak256(node, path[height]);
        }
        return node;
    }

    /// @notice What the sequencer signs for a group.
    function digest(bytes32 separator, uint32 domain, bytes32 groupRoot) internal pure returns (bytes32) {
        return Signatures.digest(separator, keccak256(abi.encode(RECEIPTS_TYPE_HASH, domain, groupRoot)));
    }

    /// @notice The order's identity in the ring: docs/spec/ledger.md, Signatures.
    function orderHash(bytes32 separator, Receipt calldata receipt, OrderTerms calldata order)
        internal
        pure
        returns (bytes32)
    {
        bytes32[] memory legs = new bytes32[](order.legs.length);
        for (uint256 i = 0; i < legs.length; ++i) {
            legs[i] = keccak256(abi.encode(Signatures.LEG_TYPE_HASH, order.legs[i].instrument, order.legs[i].ratio));
        }
        bytes32 structHash = keccak256(
            abi.encode(
                Signatures.ORDER_TYPE_HASH,
                receipt.domain,
                receipt.account,
                keccak256(abi.encodePacked(legs)),
                order.size,
                order.limitPrice,
                order.maxFeePerLot,
                receipt.nonce,
                order.start,
                order.expiry,
                order.flags
            )
        );
        return Signatures.digest(separator, structHash);
    }
}
