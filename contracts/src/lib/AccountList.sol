// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Strictly increasing lists of account numbers
library AccountList {
    /// @notice An empty list with room for `capacity` numbers.
    function empty(uint256 capacity) internal pure returns (uint256[] memory list) {
        list = new uint256[](capacity);
        _setLength(list, 0);
    }

    /// @notice Adds `account` unless the list has it. Cheap in increasing order.
    /// @dev Warning: the caller keeps to the capacity.
    function add(uint256[] memory list, uint256 account) internal pure {
        uint256 length = list.length;
        uint256 place = length;
        while (place > 0 && list[place - 1] > account) place -= 1;
        if (place > 0 && list[place - 1] == account) return;
        _setLength(list, length + 1);
        for (uint256 i = length; i > place; --i) {
            list[i] = list[i - 1];
        }
        list[place] = account;
    }

    function _setLength(uint256[] memory list, uint256 length) private pure {
        assembly ("memory-safe") {
            mstore(list, length)
        }
    }
}
