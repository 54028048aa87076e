// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {StateParts} from "../dispute/IDispute.sol";
import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {MerklePath} from "../lib/MerklePath.sol";

/// @notice A state opened as far as the insurance needs it.
struct InsuranceWitness {
    StateParts state;
    /// @dev The insurance account's bytes (docs/spec/ledger.md, Cells).
    bytes cell;
    /// @dev Its siblings in the accounts tree, from the leaf up.
    bytes32[] path;
}

/// @title By how much a state's bad debt exceeds its insurance account
library Shortfall {
    error WitnessMalformed();
    /// @notice The witness is of another state.
    error StateRootMismatch(bytes32 witnessed);
    error AccountsRootMismatch(bytes32 witnessed);

    /// @notice Shortfall in micro-USDC and the queue cursor of the state with that root. Reverts for a witness of any other.
    /// @dev Negative cash of the insurance account is bad debt already: it counts once.
    function read(bytes32 stateRoot, InsuranceWitness calldata witness)
        internal
        pure
        returns (uint256 shortfall, uint64 inboundCursor)
    {
        if (witness.path.length != Limits.ACCOUNT_TREE_DEPTH || witness.state.globals.length != Cells.GLOBALS_BYTES) {
            revert WitnessMalformed();
        }
        StateParts calldata state = witness.state;
        bytes32 witnessed = keccak256(
            abi.encode(
                state.accountsRoot,
                state.instrumentsRoot,
                state.underlyingsRoot,
                state.outboxRoot,
                keccak256(state.globals)
            )
        );
        if (witnessed != stateRoot) revert StateRootMismatch(witnessed);
        bytes32 accountsRoot = MerklePath.root(keccak256(witness.cell), Limits.INSURANCE_ACCOUNT, witness.path);
        if (accountsRoot != state.accountsRoot) revert AccountsRootMismatch(accountsRoot);
        int256 cash = _cash(witness.cell);
        uint256 globals = _address(witness.state.globals);
        int256 badDebt = Cells.readSigned64(globals + Cells.GLOBALS_BAD_DEBT);
        inboundCursor = uint64(Cells.read(globals + Cells.GLOBALS_INBOUND_CURSOR, 8));
        int256 missing = cash > 0 ? badDebt - cash : badDebt;
        shortfall = missing > 0 ? uint256(missing) : 0;
    }

    /// @dev A cell under the root of a valid state has its canonical form; the length is checked so that no read leaves it.
    function _cash(bytes memory cell) private pure returns (int256) {
        if (cell.length < Cells.ACCOUNT_FIXED_BYTES) revert WitnessMalformed();
        uint256 offset = _address(cell);
        uint256 delegates = Cells.read8(offset + Cells.ACCOUNT_DELEGATE_COUNT);
        if (cell.length < Cells.ACCOUNT_FIXED_BYTES + Cells.DELEGATE_BYTES * delegates) revert WitnessMalformed();
        return Cells.cash(offset);
    }

    function _address(bytes memory data) private pure returns (uint256 offset) {
        assembly ("memory-safe") {
            offset := add(data, 32)
        }
    }
}
