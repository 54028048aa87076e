// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IBatchChain} from "../chain/IBatchChain.sol";
import {IInboundQueue} from "./IInboundQueue.sol";

/// @title The vault as the contracts around it see it
interface ICustody is IInboundQueue {
    function token() external view returns (IERC20);

    function batchChain() external view returns (IBatchChain);

    /// @notice Seconds that the venue has to consume a forced entry.
    function forcedPeriodSeconds() external view returns (uint64);

    /// @notice Only caller of `freeze` and `release`; zero = nobody.
    function escape() external view returns (address);

    /// @notice Who opened the account; zero for none, the treasury and the insurance.
    function ownerOf(uint24 account) external view returns (address);

    /// @notice Hash of the outbox cell that a withdrawal was paid by; 0 = not claimed.
    function claimedLeafOf(uint32 withdrawalNumber) external view returns (bytes32);

    function isClaimed(uint32 withdrawalNumber) external view returns (bool);

    /// @notice Whether the account's owner ever forced a withdrawal to this recipient, himself left out.
    function hasForcedTo(uint24 account, address recipient) external view returns (bool);

    /// @notice Pays into any existing account, the insurance account included.
    function deposit(uint24 account, uint256 amount) external returns (uint64 index);

    /// @notice Stops the queue and the claims for good. Only for the escape contract.
    function freeze() external;

    /// @notice Pays from the vault of a frozen venue. Only for the escape contract.
    function release(address recipient, uint256 amount) external;
}
