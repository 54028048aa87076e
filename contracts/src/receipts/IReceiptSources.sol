// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

// What the receipt court reads of its neighbours beyond their shared interfaces.

interface ICourtChain {
    function domain() external view returns (uint32);
}

interface ICourtCustody {
    function token() external view returns (IERC20);

    /// @notice Zero for an account that was never opened.
    function ownerOf(uint24 account) external view returns (address);
}

interface ICourtRegistry {
    function unbondingSeconds() external view returns (uint64);

    function windowSecondsMax() external view returns (uint64);
}
