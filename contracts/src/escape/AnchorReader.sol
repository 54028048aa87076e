// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "../lib/Cells.sol";
import {ParameterReader, Parameters, ParameterStore} from "../lib/ParameterStore.sol";
import {PayloadReader} from "../lib/PayloadReader.sol";
import {Signatures} from "../lib/Signatures.sol";
import {Cell, State, StateWitness} from "../lib/StateWitness.sol";
import {Quorum} from "../rules/Quorum.sol";

/// @notice Where the closing marks are.
interface IClosingMarks {
    function closingMark(uint24 instrument) external view returns (bool isSet, uint256 mark);
}

/// @title What the escape reads from the anchor's state and its parameters
/// @notice Holds nothing and has no power; a contract of its own because of the limit of code size. The escape makes it.
/// An account is worth cash + Σ pending funding (floor: against the account) + Σ size·mark: packages/settlement/src/escape.ts.
/// A settled instrument has its settlement price whatever was signed; a listed one without a signed mark its last row's mark.
contract AnchorReader {
    using StateWitness for *;
    using ParameterReader for Parameters;

    /// @notice Owner of an account of the state and what it is worth at the caller's closing marks; zero for an account that the
    /// state does not have.
    /// @dev Unchecked: sizes are below 2^31, marks and rows below 2^40, a settlement price in a hostile cell below 2^64, positions
    /// at most 128, funding of one below 2^66, cash below 2^63: the sum stays below 2^104. Finality credit is nobody's money.
    /// @param witness the account without its order ring, the instruments of its positions
    function equityOf(bytes32 root, uint24 account, bytes calldata witness)
        external
        view
        returns (address owner, int256 equity)
    {
        State memory state = StateWitness.load(witness);
        state.verify(root);
        Cell memory cell = state.accounts.find(account);
        if (cell.length == 0) return (address(0), 0);
        uint256 data = cell.data;
        owner = Cells.readAddress(data + Cells.ACCOUNT_OWNER);
        equity = Cells.cash(data);
        uint256 count = Cells.positionCount(data);
        uint256 position = Cells.tail(data) + Cells.TAIL_POSITIONS;
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                uint256 number = Cells.read(position, 3);
                Cell memory instrument = state.instruments.find(number);
                // A position's instrument exists in every valid state.
                if (instrument.length == 0) revert StateWitness.CellMissing(number);
                equity += Cells.pendingFundingFloor(instrument.data, position)
                + Cells.readSigned32(position + Cells.POSITION_SIZE) * int256(_mark(instrument.data, number));
                position += Cells.POSITION_BYTES;
            }
        }
    }

    function _mark(uint256 instrument, uint256 number) private view returns (uint256) {
        if (Cells.read8(instrument + Cells.INSTRUMENT_STATUS) == Cells.STATUS_SETTLED) {
            return Cells.read(instrument + Cells.INSTRUMENT_SETTLEMENT_PER_LOT, 8);
        }
        (bool isSet, uint256 mark) = IClosingMarks(msg.sender).closingMark(uint24(number));
        return isSet ? mark : Cells.rowValue(instrument, 0);
    }

    /// @notice Copies the parameter set that the globals name into a store of its own; reverts unless `store` holds it.
    /// @dev A copy, because a foreign store may be gone after this transaction and be another one later (EIP-6780: what was
    /// made in the transaction in which it destroyed itself). Nobody else has a hand in a store that is made here.
    function copyParameters(address store, bytes calldata globals) external returns (address) {
        bytes memory copied = globals;
        uint256 data;
        assembly ("memory-safe") {
            data := add(copied, 32)
        }
        Parameters memory parameters = ParameterReader.load(store);
        parameters.requireOf(data);
        bytes memory encoded = new bytes(parameters.length);
        uint256 source = parameters.data;
        assembly ("memory-safe") {
            mcopy(add(encoded, 32), source, mload(encoded))
        }
        return address(new ParameterStore(encoded));
    }

    /// @notice Whether the signatures are exactly a quorum of the store's oracles over a set of closing marks.
    /// @param signatures count u8, (signer u8, signature 64)…
    function isQuorum(address store, bytes32 typeHash, bytes32[4] calldata words, bytes calldata signatures)
        external
        view
        returns (bool)
    {
        Parameters memory parameters = ParameterReader.load(store);
        uint256 offset;
        assembly ("memory-safe") {
            offset := signatures.offset
        }
        if (signatures.length == 0) return false;
        // The quorum reads as many signatures as the first byte says: they must be all there are.
        uint256 length = 1 + PayloadReader.QUORUM_SIGNATURE_BYTES * PayloadReader.read8(offset);
        bytes32 structHash = keccak256(abi.encode(typeHash, parameters.domain, words));
        return signatures.length == length && Quorum.signed(parameters, structHash, offset);
    }

    /// @notice Signer of a withdrawal under the store's domain, or zero. `words`: asset, amount, destination chain, recipient,
    /// nonce, expiry.
    function withdrawalSigner(address store, uint24 account, uint256[6] calldata words, bytes calldata signature)
        external
        view
        returns (address)
    {
        if (signature.length != 64) return address(0);
        Parameters memory parameters = ParameterReader.load(store);
        uint256 offset;
        assembly ("memory-safe") {
            offset := signature.offset
        }
        bytes32 structHash = keccak256(abi.encode(Signatures.WITHDRAWAL_TYPE_HASH, parameters.domain, account, words));
        return Signatures.recover(Signatures.digest(parameters.separator, structHash), offset);
    }
}
