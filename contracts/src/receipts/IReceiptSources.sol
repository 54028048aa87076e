// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

// What the receipt court reads of its neighbours, and no more.

interface ICourtChain {
    function domain() external view returns (uint32);

    /// @notice Time of the last drop in seconds; 0 = there was none.
    function lastDropAt() external view returns (uint64);
}

interface ICourtCustody {
    function token() external view returns (IERC20);

    /// @notice Zero for an account that was never opened.
    function ownerOf(uint24 account) external view returns (address);
}

interface ICourtEscape {
    function isFrozen() external view returns (bool);

    /// @notice The state that a frozen venue is wound up with; not settled while posted batches still resolve.
    function anchor() external view returns (uint64 batchNumber, bytes32 root, bool settled);
}
