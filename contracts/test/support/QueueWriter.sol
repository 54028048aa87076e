// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Writes entries to the custody's queue that its functions would refuse
/// @notice Stands at the custody's address for one transaction of a test, whose ledger must also meet entries that the custody
/// never makes. Storage and event are the custody's own: the batch chain and every reader see a queue like any other.
contract QueueWriter {
    event InboundQueued(uint64 indexed index, bytes entry, bytes32 queueHash, uint64 queuedAt);

    /// @param lengthSlot storage slot of `queueLength`, `lengthShift` bits from the slot's end
    /// @param hashSlot storage slot of the mapping `queueHash`
    function push(bytes[] calldata entries, uint256 lengthSlot, uint256 lengthShift, uint256 hashSlot) external {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(lengthSlot)
        }
        uint64 length = uint64(word >> lengthShift);
        bytes32 hash = _read(_slotOf(length, hashSlot));
        for (uint256 i = 0; i < entries.length; ++i) {
            hash = keccak256(abi.encodePacked(hash, keccak256(entries[i])));
            emit InboundQueued(length, entries[i], hash, uint64(block.timestamp));
            ++length;
            bytes32 slot = _slotOf(length, hashSlot);
            assembly ("memory-safe") {
                sstore(slot, hash)
            }
        }
        word = (word & ~(uint256(type(uint64).max) << lengthShift)) | (uint256(length) << lengthShift);
        assembly ("memory-safe") {
            sstore(lengthSlot, word)
        }
    }

    function _slotOf(uint64 key, uint256 mappingSlot) private pure returns (bytes32) {
        return keccak256(abi.encode(uint256(key), mappingSlot));
    }

    function _read(bytes32 slot) private view returns (bytes32 value) {
        assembly ("memory-safe") {
            value := sload(slot)
        }
    }
}
