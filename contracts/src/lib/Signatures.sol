// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title EIP-712 digests and EIP-2098 signatures of the ledger
/// @notice docs/spec/ledger.md, Signatures. Recovery answers as the TypeScript port does: nothing for a signature that is not
/// canonical (high s, r or s out of range) or that no key made.
library Signatures {
    /// @notice Too little gas for the precompile: what it answered would depend on the gas that the caller sent.
    error GasBelowPrecompile();

    bytes32 private constant DOMAIN_TYPE_HASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME_HASH = keccak256("Tidemark");
    bytes32 private constant VERSION_HASH = keccak256("1");
    bytes32 internal constant LEG_TYPE_HASH = keccak256("Leg(uint32 instrument,int32 ratio)");
    bytes32 internal constant ORDER_TYPE_HASH = keccak256(
        "Order(uint32 domain,uint32 account,Leg[] legs,int32 size,int32 limitPrice,uint64 maxFeePerLot,uint64 nonce,uint64 start,uint64 expiry,uint32 flags)Leg(uint32 instrument,int32 ratio)"
    );
    bytes32 internal constant WITHDRAWAL_TYPE_HASH = keccak256(
        "Withdrawal(uint32 domain,uint32 account,uint32 asset,uint64 amount,uint64 destinationChain,address recipient,uint64 nonce,uint64 expiry)"
    );
    bytes32 internal constant BID_TYPE_HASH = keccak256(
        "Bid(uint32 domain,uint32 account,uint32 auctioned,uint32 parts,int64 paymentMax,bytes32 legs,uint64 nonce,uint64 expiry)"
    );
    bytes32 internal constant REPORT_TYPE_HASH = keccak256("Report(uint32 domain,bytes32 content)");
    bytes32 internal constant SETTLEMENT_TYPE_HASH =
        keccak256("Settlement(uint32 domain,uint32 underlying,uint64 expiry,uint64 price)");

    /// @dev Half of the order of secp256k1.
    uint256 private constant S_MAX = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;
    uint256 private constant ECRECOVER_GAS = 3000;
    /// @dev A call keeps a 64th of the gas; the rest is for what surrounds it.
    uint256 private constant ECRECOVER_GAS_LEAST = (ECRECOVER_GAS * 64) / 63 + 2000;

    function domainSeparator(uint256 chainId, address verifyingContract) internal pure returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE_HASH, NAME_HASH, VERSION_HASH, chainId, verifyingContract));
    }

    function digest(bytes32 separator, bytes32 structHash) internal pure returns (bytes32 value) {
        assembly ("memory-safe") {
            let offset := mload(0x40)
            mstore(offset, hex"1901")
            mstore(add(offset, 2), separator)
            mstore(add(offset, 34), structHash)
            value := keccak256(offset, 66)
        }
    }

    /// @notice Signer of the 64 bytes (r ‖ yParity and s) at calldata offset `offset`, or zero when they are no signature.
    function recover(bytes32 hash, uint256 offset) internal view returns (address signer) {
        if (gasleft() < ECRECOVER_GAS_LEAST) revert GasBelowPrecompile();
        assembly ("memory-safe") {
            let free := mload(0x40)
            let vs := calldataload(add(offset, 32))
            let s := shr(1, shl(1, vs))
            mstore(free, hash)
            mstore(add(free, 32), add(27, shr(255, vs)))
            mstore(add(free, 64), calldataload(offset))
            mstore(add(free, 96), s)
            mstore(0x00, 0)
            // The precompile refuses r and s that are 0 or not below the order; high s is refused here.
            if iszero(gt(s, S_MAX)) { pop(staticcall(ECRECOVER_GAS, 1, free, 128, 0x00, 32)) }
            signer := mload(0x00)
        }
    }
}
