// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {LibBit} from "solady/src/utils/LibBit.sol";

/// @title Little-endian packing of the ledger's cells
/// @notice Each function answers with the bytes in ledger order, ready for `abi.encodePacked`.
library LittleEndian {
    function u16(uint16 value) internal pure returns (bytes2) {
        return bytes2(bytes32(LibBit.reverseBytes(uint256(value))));
    }

    function u24(uint24 value) internal pure returns (bytes3) {
        return bytes3(bytes32(LibBit.reverseBytes(uint256(value))));
    }

    function u64(uint64 value) internal pure returns (bytes8) {
        return bytes8(bytes32(LibBit.reverseBytes(uint256(value))));
    }
}
