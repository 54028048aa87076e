// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchChain} from "../chain/IBatchChain.sol";
import {ICustody} from "../custody/ICustody.sol";

/// @notice What an escape is made with.
struct EscapeTerms {
    IBatchChain batchChain;
    /// @dev Names this contract in advance.
    ICustody custody;
    /// @dev Only caller of `lateFraud`; zero = nobody.
    address dispute;
    /// @dev Asked for a shortfall before anybody is cut; zero = none.
    address pool;
    /// @dev ParameterStore of genesis; after changes of parameters the anchor's own store is named when it is fixed.
    address parameters;
    uint64 registrationSeconds;
    uint64 markSeconds;
    uint64 lateSeconds;
}

/// @notice Where the winding up stands. Times: docs/spec/settlement.md, Escape.
enum EscapePhase {
    LIVE,
    /// @dev Frozen; posted batches become final or are dropped.
    RESOLVING,
    /// @dev The anchor is fixed; oracles sign closing marks, what was paid beyond the anchor is shown.
    MARKING,
    REGISTERING,
    /// @dev Registration is over; anyone may close the books.
    CLOSABLE,
    /// @dev Who registered in time is paid; others register late.
    PAYING,
    /// @dev Late ones, treasury and insurance are paid.
    RESIDUAL
}

/// @notice What can be registered.
enum EntitlementKind {
    ACCOUNT,
    WITHDRAWAL,
    DEPOSIT
}

/// @title The end of a failed venue as other contracts see it
interface IEscape {
    /// @notice A final batch, or one that was shown right before, is wrong: freezes custody and anchors before it.
    /// Only for the dispute contract.
    function lateFraud(uint64 batchNumber) external;

    function isFrozen() external view returns (bool);

    /// @notice The state that everybody leaves by. `isFixed` is false while it is not known; until the books are closed a
    /// late fraud proof may still put an earlier one in its place.
    function anchor() external view returns (uint64 batchNumber, bytes32 root, bool isFixed);
}

/// @notice The insurance pool as the escape sees it: it sends up to `shortfall` to the caller or to the vault.
interface IEscapeBackstop {
    function coverEscape(uint256 shortfall) external;
}
