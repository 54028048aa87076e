// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The rule of one cycle kind as the L1 judges it
/// @notice A new kind of cycle, and with it a new derivative product, is a new contract of this shape and nothing else.
/// @dev Both faces are total in the payload: whatever the bytes, they answer. They revert for the caller's faults alone: a
/// witness that is malformed, of another state or too small, another kind's payload, too little gas.
interface ICycleRule {
    /// @notice The payload is of another kind.
    error KindMismatch(uint256 kind);

    /// @notice Code of the kind (packages/ledger/src/types.ts, CycleKind).
    function kind() external view returns (uint256);

    /// @notice Fault "root": runs the cycle from `preStateRoot`, without what only the rule at one account can show.
    /// @param parameters ParameterStore with the bytes whose hash is in the state's globals
    /// @param witness every cell that the cycle touches (docs/spec/witness.md)
    /// @return code rejection code, or 0
    /// @return postStateRoot root after the cycle; 0 with a code
    function execute(address parameters, bytes32 preStateRoot, bytes calldata payload, bytes calldata witness)
        external
        view
        returns (uint256 code, bytes32 postStateRoot);

    /// @notice Fault "rule at account": the part of the rule that concerns one account, marks and margin included.
    /// @param account account number; a cycle that does not name it is not at fault there
    /// @param witness that account with the ring slots of its entries, the instruments of its positions and entries and
    /// their underlyings
    /// @return code rejection code, or 0
    function check(
        address parameters,
        bytes32 preStateRoot,
        bytes calldata payload,
        uint256 account,
        bytes calldata witness
    ) external view returns (uint256 code);

    /// @notice Every account that the payload names and at which `check` may find what `execute` does not; strictly increasing,
    /// empty for a malformed payload. A payload that `execute` accepts and `check` accepts at each of them is valid where
    /// the rule is bounded.
    function accountsOf(bytes calldata payload) external view returns (uint256[] memory accounts);

    /// @notice Whether `accountsOf` is all: where not, `check` may find a fault at any account, named or not.
    function isBounded() external view returns (bool);
}
